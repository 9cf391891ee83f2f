/** What the demo prints: a bar that moves on a terminal, a few plain lines in a pipe. */
import { styleText } from 'node:util';

const { stdout } = process;

// Whoever reads the output may leave (`| head`); what was begun still ends in order.
stdout.on('error', () => {});

export function heading(text: string): void {
  stdout.write(`\n${styled('bold', text)}\n`);
}

export function line(text = ''): void {
  stdout.write(text === '' ? '\n' : `  ${text}\n`);
}

/** Returns what to call with each step. The last step ends the bar. */
export function progress(label: string): (done: number, total: number) => void {
  return stdout.isTTY ? (done, total) => drawBar(label, done, total) : plainSteps(label);
}

function drawBar(label: string, done: number, total: number): void {
  const width = 30;
  const filled = Math.round((width * done) / total);
  const bar = styled('green', '█'.repeat(filled)) + styled('dim', '░'.repeat(width - filled));
  stdout.write(`\r\x1b[2K  ${label} ${bar} ${done}/${total}${done === total ? '\n' : ''}`);
}

/** A line at each quarter. */
function plainSteps(label: string): (done: number, total: number) => void {
  let quarter = 0;
  return (done, total) => {
    const reached = Math.floor((4 * done) / total);
    if (reached === quarter) return;
    quarter = reached;
    line(`${label}: ${done} of ${total}`);
  };
}

/** Columns as wide as they need to be; numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const isNumber = head.map((_, column) => rows.every((row) => typeof row[column] === 'number'));
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => String(row[column]).length)));
  const print = (cells: readonly (string | number)[]) =>
    cells
      .map((cell, column) => {
        const width = widths[column] as number;
        return isNumber[column] ? String(cell).padStart(width) : String(cell).padEnd(width);
      })
      .join('   ')
      .trimEnd();
  line(styled('dim', print(head)));
  for (const row of rows) line(print(row));
}

function styled(style: 'bold' | 'dim' | 'green', text: string): string {
  return styleText(style, text, { stream: stdout });
}
