import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SystemUser } from './system-user.ts';

/** A certificate for `localhost` and 127.0.0.1 that is its own authority. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  /** What a client has to trust, as PEM. */
  readonly ca: string;
}

/** Makes a key and a certificate in `directory`. By the openssl program: Node can read X.509 but not write it. */
export async function createCertificate(directory: string, user?: SystemUser): Promise<Certificate> {
  const [certFile, keyFile] = [join(directory, 'server.crt'), join(directory, 'server.key')];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  try {
    await promisify(execFile)('openssl', ['req', '-x509', '-days', '7', ...key, ...subject, '-out', certFile], {
      ...user,
      cwd: directory,
    });
  } catch (cause) {
    throw new Error('{ tls: true } needs the program openssl, which was not found or failed: see the cause.', {
      cause,
    });
  }
  return { certFile, keyFile, ca: await readFile(certFile, 'utf8') };
}
