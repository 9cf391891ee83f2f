// core from CommonJS.
const { createTask, run, sleep, Future } = require('@aiokit/core');

run(async () => {
  const task = createTask(() => sleep(5, 'required'));
  console.log(await task, task instanceof Future);
  const imported = await import('@aiokit/core');
  console.log(imported.Future === Future);
});
