// Row 50: the code that the notes test with pytest-asyncio.
import { ClientSession } from '@aiokit/http';

/** What the notes' `http_client` gives: the answer as it came, status line first. */
export async function httpClient(url: string): Promise<{ status: number; text: string }> {
  await using session = new ClientSession();
  const response = await session.get(url);
  return { status: response.status, text: await response.text() };
}
