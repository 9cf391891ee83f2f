import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * vitest writes one report per project; turbo restores it when it serves the task from its cache.
 * So the sum is right in a second run too. Runs on any Node: `.ci/run` calls it when all else has failed.
 *
 * @typedef {{ fullName: string, status: string, failureMessages: string[] }} Test
 * @typedef {{ success: boolean, numPassedTests: number, numFailedTests: number,
 *   testResults: { name: string, status: string, message: string, assertionResults: Test[] }[] }} Report
 */

const root = fileURLToPath(new URL('..', import.meta.url));
const REPORT = 'test-results/vitest.json';

/** Every folder whose package.json has one of the tasks that write a report. */
function testedFolders() {
  const packages = readdirSync(`${root}packages`).map((name) => `packages/${name}`);
  return ['.', 'examples', ...packages].filter((folder) => {
    const { scripts = {} } = JSON.parse(readFileSync(`${root}${folder}/package.json`, 'utf8'));
    return folder === '.' ? scripts['test:root'] : scripts.test;
  });
}

/** Takes the reports of earlier runs away, so that a project that does not get to its tests is not counted with old ones. */
export function removeReports() {
  for (const folder of testedFolders()) rmSync(`${root}${folder}/${REPORT}`, { force: true });
}

/** @returns {{ folder: string, report: Report | undefined }[]} */
function readReports() {
  return testedFolders().map((folder) => {
    const path = `${root}${folder}/${REPORT}`;
    return { folder, report: existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined };
  });
}

/**
 * The tests of all projects. Failed counts too: a file that could not be loaded, an error outside of all tests, a project without a report.
 *
 * @returns {{ passed: number, failed: number }}
 */
function countTests() {
  let passed = 0;
  let failed = 0;
  for (const { folder, report } of readReports()) {
    passed += report?.numPassedTests ?? 0;
    failed += report ? failuresOf(report) : 1;
    if (!report) console.error(`${folder}: its tests did not run to the end`);
  }
  return { passed, failed };
}

/** @param {Report} report */
function failuresOf({ success, numFailedTests, testResults }) {
  const brokenFiles = testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  return numFailedTests + brokenFiles.length || (success ? 0 : 1);
}

/** What failed, again: the last thing to read, however much was printed before it. */
export function printFailures() {
  for (const { report } of readReports()) {
    for (const file of report?.testResults ?? []) {
      if (file.status !== 'failed') continue;
      const failures = file.assertionResults.filter((test) => test.status === 'failed');
      if (failures.length === 0) console.error(`\nFAILED ${file.name.replace(root, '')}\n${file.message}`);
      for (const { fullName, failureMessages } of failures) {
        console.error(`\nFAILED ${file.name.replace(root, '')}: ${fullName}\n${failureMessages.join('\n')}`);
      }
    }
  }
}

/**
 * Prints `N passed, N failed`, on a line of its own. A failure that no test shows (lint, types, build) counts as one.
 *
 * @param {number} status the exit status of all that ran
 */
export function printCount(status) {
  const { passed, failed } = countTests();
  console.log(`${passed} passed, ${failed || (status === 0 ? 0 : 1)} failed`);
}
