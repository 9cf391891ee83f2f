import { serve } from '@aiokit/http/server';
import { describe, expect, it } from 'vitest';
import { withBrowser } from '../browser.ts';
import { printed } from '../printed.ts';
import { main as chat, makeApp as makeChat } from './chat.ts';
import { app as fastapi } from './fastapi.ts';

// A browser takes its time to start on a loaded machine.
const BROWSER = { timeout: 120_000 };

describe('row 53: FastAPI’s first example', () => {
  const ask = async (path: string, init?: RequestInit) => {
    await using server = await serve(fastapi, { port: 0 });
    const response = await fetch(server.url + path, init);
    return [response.status, await response.json()];
  };
  const put = (body: unknown): RequestInit => ({
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

  it('answers', async () => {
    expect(await ask('/')).toEqual([200, { Hello: 'World' }]);
    expect(await ask('/items/5?q=somequery')).toEqual([200, { item_id: 5, q: 'somequery' }]);
    expect(await ask('/items/5')).toEqual([200, { item_id: 5, q: null }]);
    expect(await ask('/items/5', put({ name: 'Bolt', price: 0.5 }))).toEqual([200, { item_name: 'Bolt', item_id: 5 }]);
  });

  it('answers what is not valid with 422, and says where', async () => {
    expect(await ask('/items/foo')).toMatchObject([422, { detail: [{ path: ['item_id'] }] }]);
    expect(await ask('/items/5', put({ name: 'Bolt', price: 'cheap' }))).toMatchObject([
      422,
      { detail: [{ path: ['price'] }] },
    ]);
  });

  it('describes itself by OpenAPI 3.1', async () => {
    const [status, document] = await ask('/openapi.json');
    expect(status).toBe(200);
    expect(document).toMatchObject({
      openapi: '3.1.0',
      paths: { '/': { get: {} }, '/items/{item_id}': { get: {}, put: {} } },
      components: { schemas: { Item: { required: ['name', 'price'] } } },
    });
  });

  it('has a page, all of it from here, on which a request can be tried', BROWSER, async () => {
    await using server = await serve(fastapi, { port: 0 });
    await withBrowser(async (page) => {
      const asked: string[] = [];
      page.on('request', (request) => void asked.push(request.url()));
      await page.goto(`${server.url}/docs`);
      await page.locator('.opblock-put .opblock-summary-control').click();
      await page.getByRole('button', { name: 'Try it out' }).click();
      await page.getByPlaceholder('item_id').fill('5');
      await page.locator('textarea.body-param__text').fill('{"name": "Bolt", "price": 0.5}');
      await page.getByRole('button', { name: 'Execute' }).click();
      const answer = page.locator('.live-responses-table .response').first();
      await answer.locator('text=item_name').first().waitFor();
      expect(await answer.innerText()).toMatch(/200[\s\S]*"item_name": "Bolt",\s*"item_id": 5/);
      const fromElsewhere = asked.filter((url) => !url.startsWith(`${server.url}/`) && !url.startsWith('data:'));
      expect(fromElsewhere).toEqual([]);
      expect(asked).toContain(`${server.url}/docs/swagger-ui-bundle.js`);
    });
  });
});

describe('row 54: the chat', () => {
  it('has a page on which what is sent comes back', BROWSER, async () => {
    await using server = await serve(makeChat(), { port: 0 });
    await withBrowser(async (page) => {
      await page.goto(server.url);
      const messages = page.locator('li');
      for (const [index, text] of ['1', '2', '<b>3</b>'].entries()) {
        await page.locator('input').fill(text);
        await page.getByRole('button', { name: 'Send' }).click();
        await messages.nth(index).waitFor();
      }
      expect(await messages.allInnerTexts()).toEqual([
        'Message text was: 1',
        'Message text was: 2',
        'Message text was: <b>3</b>',
      ]);
    });
  });

  it('goes on with a client in code until it is told to close', async () => {
    const { lines, seconds } = await printed(chat);
    const said = (times: number) => `${'Message text was: '.repeat(times)}hi`;
    expect(lines).toEqual([said(1), said(2), said(3), said(4)]);
    expect(Math.round(seconds)).toBe(5);
  });
});
