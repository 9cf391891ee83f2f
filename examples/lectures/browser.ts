/** For the tests of pages: a real browser, this machine's own. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Page } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
/** It is to show pages of this machine, and to talk to nobody else. */
const SILENT = ['quic', 'background-networking', 'component-update', 'sync', 'gpu'].map((name) => `--disable-${name}`);

/** Opens an empty page, and closes the browser in the end. Its profile is a fresh one. */
export async function withBrowser<R>(body: (page: Page) => Promise<R>): Promise<R> {
  const browser = await chromium.launch({
    executablePath: findBrowser(),
    args: ['--no-sandbox', '--no-first-run', ...SILENT],
  });
  try {
    return await body(await browser.newPage());
  } finally {
    await browser.close();
  }
}

function findBrowser(): string {
  const { AIOKIT_BROWSER, PATH = '' } = process.env;
  const paths = PATH.split(delimiter).flatMap((directory) => NAMES.map((name) => join(directory, name)));
  const found = AIOKIT_BROWSER ?? paths.find(isExecutable);
  if (found !== undefined) return found;
  throw new Error(
    `This test drives a page in a browser, and there is none of ${NAMES.join(', ')} on PATH. ` +
      'Install one (on Debian: apt-get install chromium), or say in AIOKIT_BROWSER where it is',
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
