/** Set in a worker, on its `globalThis`, to the module that it imports for a job, while it does. */
export const IMPORTING = Symbol.for('aiokit.importing');
