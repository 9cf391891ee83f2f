/** A CancelledError that nobody handles is never fatal; anything else is, as ever. */
import { describe, expect, it } from 'vitest';
import { runProgram } from './support/program.ts';

describe('a cancel in a floating promise does not end the process', () => {
  for (const way of ['void work()', 'an async listener', 'an async timer', 'task.finally', 'task.then']) {
    it(`of ${way}`, async () => {
      expect(await runProgram('floating.ts', { args: [way] })).toMatchObject({
        code: 0,
        stdout: 'alive\n',
        stderr: '',
      });
    });
  }

  it('and is told in debug mode', async () => {
    const ended = await runProgram('floating.ts', { args: ['void work()'], env: { AIOKIT_DEBUG: '1' } });
    expect(ended).toMatchObject({ code: 0, stdout: 'alive\n' });
    expect(ended.stderr).toContain('A floating promise was cancelled');
    expect(ended.stderr).toContain('the client left');
  });
});

describe('another rejection that nobody handles', () => {
  it('ends the process, as without core', async () => {
    const ended = await runProgram('floating.ts', { args: ['another error'] });
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toContain('Error: not a cancel');
  });

  it('that is no Error ends the process with the code that Node gives it', async () => {
    const ended = await runProgram('floating.ts', { args: ['no error'] });
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toContain('ERR_UNHANDLED_REJECTION');
    expect(ended.stderr).toContain('a string');
  });

  for (const [mode, code, reports] of [
    ['warn', 0, 1],
    ['warn-with-error-code', 1, 1],
    ['none', 0, 0],
  ] as const) {
    it(`is treated as --unhandled-rejections=${mode} says`, async () => {
      const execArgv = [`--unhandled-rejections=${mode}`];
      const ended = await runProgram('floating.ts', { args: ['another error'], execArgv });
      expect(ended).toMatchObject({ code, stdout: 'alive\n' });
      expect(ended.stderr.split('UnhandledPromiseRejectionWarning: Error: not a cancel')).toHaveLength(reports + 1);
    });
  }
});
