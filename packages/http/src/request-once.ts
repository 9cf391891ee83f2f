import type { Call } from './call.ts';
import type { RequestOptions } from './request.ts';
import { ClientSession } from './session.ts';

/** Its idle connections keep no process alive, and it keeps no cookies: nobody notices that it is shared. */
let shared: ClientSession | null = null;

/**
 * A single request, without a session of one's own: as `session.request`, without cookies.
 *
 * @example
 * ```ts
 * const user = await request('GET', 'http://localhost:8000/users/1').json();
 * ```
 */
export function request(method: string, url: string | URL, options?: RequestOptions): Call {
  shared ??= new ClientSession({ cookieJar: null });
  return shared.request(method, url, options);
}
