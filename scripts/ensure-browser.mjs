import { spawnSync } from 'node:child_process';

/**
 * The pages of examples/ are driven in a browser. A Debian machine that has none gets Debian's, if this may install it;
 * anywhere else the tests say what is missing.
 */
export function ensureBrowser() {
  if (process.env.AIOKIT_BROWSER !== undefined || process.platform !== 'linux') return;
  /** @param {string} name */
  const has = (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;
  if (['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'].some(has)) return;
  if (process.getuid?.() !== 0 || !has('apt-get')) return;
  console.log('No browser for the tests of pages: installing chromium (apt-get).');
  for (const args of [['update'], ['install', '--yes', '--no-install-recommends', 'chromium']]) {
    spawnSync('apt-get', args, { stdio: 'ignore', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
  }
}
