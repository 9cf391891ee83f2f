import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/** Runs a test file under node:test and gives its TAP report. */
function runNodeTests(name: string): { report: string; status: number | null } {
  const file = fileURLToPath(new URL(name, import.meta.url));
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const args = ['--conditions=@aiokit/source', '--test', '--test-reporter=tap', file];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8', env, timeout: 60_000 });
  return { report: stdout + stderr, status };
}

test('node:test runs bodies in virtual time, keeps its own surface, and tells why a test fails', {
  timeout: 60_000,
}, () => {
  const { report, status } = runNodeTests('./node-runner.ts');
  for (const passed of [
    'a body runs in virtual time',
    'options reach the runner and the clock',
    'a live body',
    'case 1',
    'case 2',
    'holds tests',
    'fixtures run in the task of the test',
    'and are torn down',
    'fixtures open scopes that reach the test',
    'also in real time',
    'the rest is that of node:test',
  ]) {
    expect(report).toMatch(new RegExp(`(?<!not )ok \\d+ - ${passed}`));
  }
  expect(report).toMatch(/ok \d+ - skips # SKIP/);
  expect(report).toMatch(/ok \d+ - skips if # SKIP/);
  expect(report).toMatch(/ok \d+ - to do # TODO/);
  expect(report).toContain('Deadlock: 1 task(s) wait');
  expect(report).toContain("The test 'a limit' took longer than 2400 ms of real time.");
  expect(report).toContain('task forgotten still runs');
  expect(report).toMatch(/# pass 11\n# fail 3/);
  expect(status).toBe(1);
});
