/**
 * Which of Node's crypto jobs run in a thread, and which were over before anybody could look: `scryptSync`, `sign` without a
 * callback and `randomUUID` make the same objects as their asynchronous brothers, and never say that they have ended.
 *
 * A job with a callback keeps it as `ondone`. Those of WebCrypto have none in Node 26, but are all made by one function.
 */

/** By the name async_hooks has for them. */
const JOBS = new Set([
  'ARGON2REQUEST',
  'CHECKPRIMEREQUEST',
  'CIPHERREQUEST',
  'DERIVEBITSREQUEST',
  'HASHREQUEST',
  'KEYEXPORTREQUEST',
  'KEYGENREQUEST',
  'KEYPAIRGENREQUEST',
  'PBKDF2REQUEST',
  'RANDOMBYTESREQUEST',
  'RANDOMPRIMEREQUEST',
  'SCRYPTREQUEST',
  'SIGNREQUEST',
  'VERIFYREQUEST',
]);

/** Node's own name. */
const WEB_CRYPTO = 'jobPromise';

export function isCryptoJob(type: string): boolean {
  return JOBS.has(type);
}

/** To be asked while a job is made: whether WebCrypto makes it. */
export function isMadeByWebCrypto(): boolean {
  const { prepareStackTrace, stackTraceLimit } = Error;
  Error.stackTraceLimit = 10;
  Error.prepareStackTrace = (_, sites) => sites.some((site) => site.getFunctionName() === WEB_CRYPTO);
  try {
    return (new Error() as { stack: unknown }).stack === true;
  } finally {
    Object.assign(Error, { prepareStackTrace, stackTraceLimit });
  }
}

/** To be asked later. */
export function hasCallback(job: object): boolean {
  return (job as { ondone?: unknown }).ondone !== undefined;
}
