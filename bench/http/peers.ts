/** Other clients, as their users would set them up to be fast: connections are kept, and there are enough of them. */
import { execFile } from 'node:child_process';
import { Agent as HttpAgent } from 'node:http';
import { promisify } from 'node:util';
import axios from 'axios';
import got from 'got';
import ky from 'ky';

/** Which Python has aiohttp. */
const PYTHON = process.env.AIOKIT_PYTHON ?? 'python3';

export interface Peer {
  readonly label: string;
  get(url: string): Promise<unknown>;
}

export function peers(): Peer[] {
  const agent = new HttpAgent({ keepAlive: true });
  const gotten = got.extend({ agent: { http: agent }, retry: { limit: 0 } });
  const instance = axios.create({ httpAgent: agent });
  const kied = ky.create({ retry: 0 });
  return [
    { label: 'ky', get: (url) => kied.get(url).json() },
    { label: 'axios', get: async (url) => (await instance.get(url)).data },
    { label: 'got', get: (url) => gotten.get(url).json() },
  ];
}

/** µs of CPU per request of Python's aiohttp, or why there is no number. */
export async function aiohttp(url: string, concurrency: number, requests: number, rounds: number): Promise<string> {
  const program = new URL('aiohttp_client.py', import.meta.url).pathname;
  try {
    const args = [program, url, concurrency, requests, rounds].map(String);
    return (await promisify(execFile)(PYTHON, args)).stdout.trim();
  } catch (error) {
    return /No module named 'aiohttp'/.test(String(error)) ? 'not installed here (pip install aiohttp)' : String(error);
  }
}
