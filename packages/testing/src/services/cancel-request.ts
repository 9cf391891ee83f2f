/**
 * How a PostgreSQL connection begins, as far as a proxy must know: a CancelRequest comes on a connection of its own, and is its only message.
 * It may follow a request for encryption that the server declined; encrypted, it cannot be seen.
 *
 * @see https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-CANCELREQUEST
 */
const CANCEL_REQUEST = 80877102;
const SSL_REQUEST = 80877103;
const GSSENC_REQUEST = 80877104;

/** The bytes of a request for encryption, and of the length and code that begin a CancelRequest. */
export const HEADER = 8;

/**
 * What the first bytes of a connection are. `negotiation`: a request for encryption, after which it begins anew; `incomplete`: more bytes are
 * needed to tell. Of any protocol: no other one that is met here begins with a zero byte.
 */
export function beginningOf(bytes: Buffer): 'incomplete' | 'negotiation' | 'cancel' | 'other' {
  if (bytes.length > 0 && bytes[0] !== 0) return 'other';
  if (bytes.length < HEADER) return 'incomplete';
  const [length, code] = [bytes.readInt32BE(0), bytes.readInt32BE(4)];
  if (code === SSL_REQUEST || code === GSSENC_REQUEST) return 'negotiation';
  if (code !== CANCEL_REQUEST) return 'other';
  // 16 bytes up to PostgreSQL 17; from 18 on the key may be longer.
  return bytes.length < length ? 'incomplete' : 'cancel';
}
