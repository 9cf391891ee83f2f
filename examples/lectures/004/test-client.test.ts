// Row 55: a TestClient is a session over the app: the same client as for a real server, without a port or a network.
import { ClientSession } from '@aiokit/http';
import { expect, test } from 'vitest';
import { app } from './test-client.ts';

test('row 55: read main', async () => {
  await using client = new ClientSession({ app, baseUrl: 'http://app' });
  const response = await client.get('/');
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ msg: 'Hello World' });
});
