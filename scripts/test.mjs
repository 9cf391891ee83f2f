// `npm test`: everything that has to hold before a change is merged. A failure does not stop it: one run shows all of them.
import './check-node.mjs';
import { printCount, printFailures, removeReports } from './count-tests.mjs';
import { ensureBrowser } from './ensure-browser.mjs';
import { runTurbo } from './run-turbo.mjs';

removeReports();
ensureBrowser();
const checks = await runTurbo('lint', 'types', 'types:root', 'knip', 'build', 'check:package');
// One project after the other: tests start servers of their own and measure milliseconds.
const tests = await runTurbo('test', 'test:root', '--concurrency=1');

if (checks !== 0) console.error('A check failed (lint, types, knip, build, check:package): see above.');
process.exitCode = checks || tests;
printFailures();
printCount(process.exitCode);
