import { expect, test } from 'vitest';
import { printed } from '../printed.ts';
import { main as clientSession } from './client-session.ts';
import { main as myIp } from './my-ip.ts';

test('row 25: the first 70 characters of a page', async () => {
  const { lines } = await printed(clientSession);
  expect(lines).toEqual(['<!doctype html><title>A page</title><p>All work and no play makes Jack...']);
});

test('row 27: the first success wins, a failure before it does not, and the loser really stops', async () => {
  const { lines, seconds } = await printed(myIp);
  expect(lines.slice(0, 2)).toEqual([
    'ipify does not know: GET http://127.0.0.1/ipify answered 503 Service Unavailable',
    'ip-api: 203.0.113.7',
  ]);
  expect(lines.slice(2).sort()).toEqual(['slow was cancelled: true', 'slow: my client has left']);
  expect(seconds).toBe(1);
});
