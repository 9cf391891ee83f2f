import {
  checkPrime,
  checkPrimeSync,
  generateKeyPair,
  generateKeyPairSync,
  generateKeySync,
  generatePrime,
  generatePrimeSync,
  hkdf,
  hkdfSync,
  pbkdf2,
  pbkdf2Sync,
  randomBytes,
  randomUUID,
  scrypt,
  scryptSync,
  sign,
  verify,
} from 'node:crypto';
import { promisify } from 'node:util';
import { sleep, timeout } from '@aiokit/core';
import { runTest } from '@aiokit/testing';
import { describe, expect, test } from 'vitest';

const { subtle } = globalThis.crypto;
const data = new Uint8Array(1e6);
const salt = new Uint8Array(16);

describe('a job in a thread holds virtual time', () => {
  test.for<[string, () => Promise<unknown>]>([
    ['pbkdf2', () => promisify(pbkdf2)('secret', 'salt', 20_000, 16, 'sha1')],
    ['scrypt', () => promisify(scrypt)('secret', 'salt', 16)],
    ['hkdf', () => promisify(hkdf)('sha1', 'secret', 'salt', 'info', 16)],
    ['randomBytes', () => promisify(randomBytes)(1e6)],
    ['generateKeyPair', () => promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })],
    ['generatePrime', () => promisify(generatePrime)(256)],
    ['checkPrime', () => promisify(checkPrime)(2n ** 127n - 1n)],
    ['subtle.digest', () => subtle.digest('SHA-256', data)],
    ['subtle.generateKey', () => subtle.generateKey({ name: 'RSASSA-PKCS1-v1_5', ...RSA }, true, ['sign', 'verify'])],
    ['subtle.generateKey, encrypt, decrypt', encryptAndDecrypt],
    ['subtle.generateKey, sign, verify', signAndVerify],
    ['subtle.importKey, deriveBits', derive],
  ])('%s', async ([, job]) => {
    await runTest(async ({ clock }) => {
      await timeout(1, job);
      expect(clock.now()).toBe(0);
    });
  });
});

test('jobs that were done at once do not', () =>
  runTest(
    async ({ clock }) => {
      randomUUID();
      randomBytes(16);
      scryptSync('secret', 'salt', 16);
      pbkdf2Sync('secret', 'salt', 10, 16, 'sha1');
      hkdfSync('sha1', 'secret', 'salt', 'info', 16);
      generateKeySync('hmac', { length: 64 });
      checkPrimeSync(generatePrimeSync(32, { bigint: true }));
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      verify('sha256', salt, publicKey, sign('sha256', salt, privateKey));
      await sleep(1_000);
      expect(clock.now()).toBe(1_000);
    },
    { ioTimeout: 500 },
  ));

const RSA = { modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' };

async function encryptAndDecrypt(): Promise<void> {
  const key = await subtle.generateKey({ name: 'AES-GCM', length: 128 }, true, ['encrypt', 'decrypt']);
  const algorithm = { name: 'AES-GCM', iv: salt };
  await subtle.decrypt(algorithm, key, await subtle.encrypt(algorithm, key, data));
}

async function signAndVerify(): Promise<void> {
  const { privateKey, publicKey } = await subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
  await subtle.verify(algorithm, publicKey, await subtle.sign(algorithm, privateKey, data), data);
}

async function derive(): Promise<void> {
  const key = await subtle.importKey('raw', salt, 'PBKDF2', false, ['deriveBits']);
  await subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-256', salt, iterations: 20_000 }, key, 128);
}
