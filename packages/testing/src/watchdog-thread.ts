/** What the watchdog's thread and the main thread share. */
export interface WatchdogMemory {
  readonly numbers: Int32Array;
  readonly text: Uint8Array;
}

/** Grows with each turn of the main thread. */
export const BEAT = 0;
/** For how many ms it may stand still; 0: nobody cares. */
export const LIMIT = 1;
/** How many bytes of text the thread has left for the main thread. */
export const LENGTH = 2;
/** How many numbers there are. */
export const TEXT = 3;

interface Frame {
  readonly callFrameId: string;
  readonly functionName: string;
  readonly location: { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber?: number };
}

interface WorkerData {
  readonly memory: WatchdogMemory;
  readonly canEndSteps: boolean;
  readonly indices: { readonly BEAT: number; readonly LIMIT: number; readonly LENGTH: number };
}

/** The whole program of the thread. It is sent as text, so it must not use anything of this module. */
export function watchMainThread({ memory, canEndSteps, indices }: WorkerData): void {
  const { Session } = process.getBuiltinModule('node:inspector') as typeof import('node:inspector');
  const { writeSync } = process.getBuiltinModule('node:fs');
  const { numbers, text } = memory;
  let beat = -1;
  let since = 0;
  let told = false;

  setInterval(() => {
    const limit = Atomics.load(numbers, indices.LIMIT);
    const now = Atomics.load(numbers, indices.BEAT);
    if (limit === 0 || now !== beat) {
      beat = now;
      since = performance.now();
      told = false;
    } else if (!told && performance.now() - since >= limit) {
      told = true;
      inspect(Math.round(performance.now() - since));
    }
  }, 25);

  function inspect(held: number): void {
    const session = new Session();
    const urls = new Map<string, string>();
    session.connectToMainThread();
    session.on('Debugger.scriptParsed', ({ params }) => void urls.set(params.scriptId, params.url));
    session.on('Debugger.paused', ({ params }) => {
      const frames = params.callFrames as unknown as Frame[];
      const expression = "globalThis[Symbol.for('aiokit.core')]?.context.getStore()?.task?.name";
      const callFrameId = frames[0]?.callFrameId ?? '';
      session.post(
        'Debugger.evaluateOnCallFrame',
        { callFrameId, expression, returnByValue: true },
        (_error, answer) => {
          tell(
            held,
            answer?.result.value,
            frames.slice(0, 10).map((frame) => line(frame, urls)),
          );
          if (canEndSteps) session.post('Runtime.terminateExecution');
          session.post('Debugger.resume');
          setTimeout(() => session.disconnect(), 100);
        },
      );
    });
    session.post('Debugger.enable');
    session.post('Debugger.pause');
  }

  function tell(held: number, task: string | undefined, places: readonly string[]): void {
    const who = task === undefined ? 'Code outside of any task' : `A step of task ${task}`;
    const message = `${who} has held the process for ${held} ms without yielding:\n${places.join('\n')}`;
    const bytes = new TextEncoder().encode(message).subarray(0, text.length);
    text.set(bytes);
    Atomics.store(numbers, indices.LENGTH, bytes.length);
    if (!canEndSteps) writeSync(2, `${message}\n`);
  }

  function line({ functionName, location }: Frame, urls: ReadonlyMap<string, string>): string {
    const { scriptId, lineNumber, columnNumber = 0 } = location;
    return `    at ${functionName || '<anonymous>'} (${urls.get(scriptId)}:${lineNumber + 1}:${columnNumber + 1})`;
  }
}
