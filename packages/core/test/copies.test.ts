/** Two copies, CommonJS, and worker threads. (Design, decision 9.) */
import { expect, it } from 'vitest';
import { runProgram } from './support/program.ts';

it('two copies of core in one process share tasks, cancels, errors and the loop', async () => {
  const { code, stdout, stderr } = await runProgram('two-copies.ts');
  expect(stdout.split('\n').filter((line) => line !== '' && !line.startsWith('yes'))).toEqual([]);
  expect({ code, stderr, lines: stdout.trim().split('\n').length }).toEqual({ code: 0, stderr: '', lines: 14 });
});

it('an incompatible copy is an error at import that says what to do', async () => {
  const { stdout } = await runProgram('incompatible.ts');
  expect(stdout).toMatch(
    /Two incompatible copies of @aiokit\/core are loaded: this one speaks protocol \d+, the first one 999/,
  );
  expect(stdout).toContain('npm ls @aiokit/core');
});

it('core can be required', async () => {
  const { code, stdout, stderr } = await runProgram('require.cjs');
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'required true\ntrue\n', stderr: '' });
});

it('a worker thread has its own loop and tasks', async () => {
  const { code, stdout } = await runProgram('worker.ts');
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'slept; worker,in the worker; worker\n0 true\n' });
});
