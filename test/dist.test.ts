import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';

interface Manifest {
  name: string;
  bin?: Record<string, string>;
  exports: Record<string, { default: string } | string | null>;
}

const root = join(import.meta.dirname, '..');
const run = promisify(execFile);

const packages = readdirSync(join(root, 'packages')).map((folder) => {
  const path = join(root, 'packages', folder);
  const manifest = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Manifest;
  const programs = Object.values(manifest.bin ?? {});
  const modules = Object.entries(manifest.exports)
    .filter(([, target]) => typeof target === 'object' && target !== null && !programs.includes(target.default))
    .map(([subpath]) => join(manifest.name, subpath).replaceAll('\\', '/'));
  return { path, name: manifest.name, modules };
});

/** Runs a module in a Node of its own, and returns what it prints as JSON. */
async function runNode(source: string, ...options: string[]): Promise<unknown> {
  const { stdout } = await run(process.execPath, [...options, '--input-type=module', '--eval', source], { cwd: root });
  return JSON.parse(stdout);
}

// vitest's functions cannot even be imported outside of it.
const importable = packages.flatMap(({ modules }) => modules).filter((module) => module !== '@aiokit/testing/vitest');

describe.each(importable)('%s', (module) => {
  test('is built, and exports what its source exports', async () => {
    const print = `
      const names = Object.keys(await import('${module}')).sort();
      console.log(JSON.stringify({ names, place: import.meta.resolve('${module}').match(/packages.\\w+.(\\w+)/)[1] }))`;
    const source = (await runNode(print, '--conditions=@aiokit/source')) as { names: string[] };
    expect(await runNode(print)).toEqual({ names: source.names, place: 'dist' });
  });

  test('can be required, so it has no top-level await', async () => {
    const same = await runNode(`
      import { createRequire } from 'node:module';
      const required = createRequire(import.meta.url)('${module}');
      const { default: main, ...named } = await import('${module}');
      console.log(Object.keys(named).every((name) => required[name] === named[name]))`);
    expect(same).toBe(true);
  });

  test('changes nothing global when imported, but for the one registry of core', async () => {
    const added = (await runNode(`
      const { default: Agent } = await import('undici/lib/dispatcher/agent.js');
      const before = new Set(Reflect.ownKeys(globalThis));
      const listeners = () => process.eventNames().map(String).sort().join();
      const listened = listeners();
      await import('${module}');
      // Node's own fetch, once it is loaded, has a dispatcher there. It must not be one of the package undici.
      const isNodes = (key) => String(key).startsWith('Symbol(undici.globalDispatcher.') && !(globalThis[key] instanceof Agent);
      const keys = Reflect.ownKeys(globalThis).filter((key) => !before.has(key) && !isNodes(key)).map(String);
      console.log(JSON.stringify([...keys, ...(listeners() === listened ? [] : [listeners()])]))`)) as string[];
    // BullMQ brings the helpers of an older TypeScript, which are globals: __awaiter and its like.
    const ours = added.filter(
      (key) => !key.startsWith('Symbol(aiokit') && !(module.endsWith('/bullmq') && key.startsWith('__')),
    );
    expect(ours).toEqual([]);
  });
});

describe.each(packages)('the published $name', ({ name, path }) => {
  test('holds its build, its sources and its papers, and no test', async () => {
    const { stdout } = await run('npm', ['pack', '--dry-run', '--json'], {
      cwd: path,
      shell: process.platform === 'win32',
    });
    const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
    const paths = files.map((file) => file.path);
    expect(paths).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'README.md',
        'package.json',
        'dist/index.js',
        'dist/index.d.ts',
        'src/index.ts',
      ]),
    );
    expect(
      paths.filter((file) => !/^(LICENSE|README\.md|CHANGELOG\.md|package\.json|(dist|src)\/.*)$/.test(file)),
    ).toEqual([]);
    expect(paths.filter((file) => file.includes('.test'))).toEqual([]);
  });

  test('keeps its internals to itself', async () => {
    await expect(runNode(`await import('${name}/internal/index.js')`)).rejects.toThrow('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });
});

test('a strict user with an older lib can compile against the declarations', async () => {
  const folder = await mkdtemp(join(root, 'node_modules', '.consumer-'));
  try {
    // pg-boss's own declarations do not compile without skipLibCheck (12.35: ResolvedConstructorOptions is missing).
    const modules = packages.flatMap(({ modules }) => modules).filter((module) => !module.endsWith('/pg-boss'));
    const imports = modules.map((module) => `import '${module}';\n`);
    await writeFile(join(folder, 'main.ts'), imports.join(''));
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          target: 'es2022',
          lib: ['es2022'],
          types: ['node'],
          module: 'nodenext',
          strict: true,
          exactOptionalPropertyTypes: true,
          noEmit: true,
          noUncheckedSideEffectImports: true,
          skipLibCheck: false,
        },
      }),
    );
    const tsc = run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder]);
    expect(await tsc.catch((error: { stdout: string }) => error)).toMatchObject({ stdout: '' });
  } finally {
    await rm(folder, { recursive: true });
  }
});
