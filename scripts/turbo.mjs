// Usage: node scripts/turbo.mjs <task or option of turbo>...
import './check-node.mjs';
import { runTurbo } from './run-turbo.mjs';

process.exitCode = await runTurbo(...process.argv.slice(2));
