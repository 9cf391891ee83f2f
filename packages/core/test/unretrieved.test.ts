import { expect, it } from 'vitest';
import { runProgram } from './support/program.ts';

it('a failure that nobody takes is reported at exit with the name of its task, and does not end the process', async () => {
  const { code, stdout, stderr } = await runProgram('unretrieved.ts');
  expect(code).toBe(0);
  expect(stdout).toBe('goes on\n');
  expect(stderr).toMatch(/The exception of Task background failed was never retrieved.*Error: lost/s);
  expect(stderr).toMatch(/The exception of Future failed was never retrieved.*Error: a future, too/s);
});

it('a failure that somebody awaits later is not reported', async () => {
  const { stdout, stderr } = await runProgram('unretrieved.ts', { args: ['awaited later'] });
  expect(stdout).toBe('goes on\nfound\n');
  expect(stderr).toContain('background');
  expect(stderr).not.toContain('patient');
});

it('a failure names where the task was created in debug mode', async () => {
  const { stderr } = await runProgram('unretrieved.ts', { env: { AIOKIT_DEBUG: '1' } });
  expect(stderr).toMatch(/background.*unretrieved\.ts/s);
});
