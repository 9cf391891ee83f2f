import { describe, expect, it } from 'vitest';
import { runProgram } from './support/program.ts';

describe('a signal while run() runs', () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`cancels main, lets it clean up, and ends the process by ${signal}`, async () => {
      const ended = await runProgram('signals.ts', { signal });
      expect(ended).toMatchObject({ code: null, signal, stdout: 'ready\ncleaned up\n' });
      expect(ended.stderr).toBe('');
    });
  }

  for (const how of ['two', 'two copies']) {
    it(`cancels every main of several side by side, and lets all of them clean up (${how})`, async () => {
      const ended = await runProgram('signals.ts', { args: [how], signal: 'SIGINT' });
      expect(ended).toMatchObject({
        signal: 'SIGINT',
        stdout: 'ready\nquick cleaned up\nslow cleaned up\n',
        stderr: '',
      });
    });
  }

  it('ends the process at once when it comes a second time', async () => {
    const ended = await runProgram('signals.ts', { args: ['second'], signal: 'SIGINT' });
    expect(ended).toMatchObject({ signal: 'SIGINT', stdout: 'ready\nready\n' });
  });

  it('is left to a listener of the program', async () => {
    const ended = await runProgram('signals.ts', { args: ['own listener'], signal: 'SIGINT' });
    expect(ended).toMatchObject({ code: 3, stdout: 'ready\nown listener\n' });
  });

  it('is heard also by tasks that only wake each other', async () => {
    const ended = await runProgram('signals.ts', { args: ['busy'], signal: 'SIGINT' });
    expect(ended).toMatchObject({ signal: 'SIGINT', stdout: 'ready\ncleaned up\n' });
  });
});
