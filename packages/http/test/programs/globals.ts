/** Prints what importing the package has changed of the globals: `[]`. Touches every global first, since Node makes many on demand. */
const symbols = ['undici.globalDispatcher.1', 'undici.globalDispatcher.2', 'undici.globalOrigin.1'].map(Symbol.for);
await fetch('data:,').then((response) => response.text()); // Node sets its own dispatcher with the first one.

const look = (): Map<PropertyKey, unknown> => {
  const keys = [...Reflect.ownKeys(globalThis), ...symbols].filter((key) => key !== Symbol.for('aiokit.core'));
  return new Map(keys.map((key) => [key, Reflect.get(globalThis, key)]));
};

const before = look();
await import('@aiokit/http');
const after = look();
const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
  (key) => !Object.is(before.get(key), after.get(key)),
);
console.log(JSON.stringify(changed.map(String)));
