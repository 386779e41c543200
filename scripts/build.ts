// Builds dist/: the command line and the programs that are started by path, bundled so that a daemon starts in a third of the time that loading
// some hundred files takes; the files read at run time; the CNI executable. Types are checked by `npm run typecheck`, not here.
import { execFileSync } from 'node:child_process';
import { cpSync, globSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';

const root = resolve(import.meta.dirname, '..');
const dist = join(root, 'dist');

/** lmdb and the native code beside it cannot be bundled; they are loaded from node_modules. */
const native = ['lmdb', 'msgpackr-extract'];

/**
 * Imported as an ES module, node:http brings Node's own fetch along, because all its exports are read at once: 13 MB and tens of milliseconds for
 * nothing (seen with Node 24). Asked for this way it does not.
 */
const httpWithoutFetch: Plugin = {
  name: 'http-without-fetch',
  setup(bundler) {
    bundler.onResolve({ filter: /^(node:)?http$/ }, () => ({ path: 'node:http', namespace: 'builtin' }));
    bundler.onLoad({ filter: /^node:http$/, namespace: 'builtin' }, () => ({
      contents: "module.exports = process.getBuiltinModule('node:http')",
    }));
  },
};

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ['src/cli/main.ts', ...globSync('src/pod-runner/programs/*.ts', { cwd: root })],
  outbase: 'src',
  outdir: 'dist',
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  external: native,
  plugins: [httpWithoutFetch],
  metafile: true,
  logLevel: 'warning',
  // CommonJS packages inside an ES module still call require().
  banner: {
    js: "import { createRequire as createRequireOfBundle } from 'node:module';\nconst require = createRequireOfBundle(import.meta.url);",
  },
});

for (const file of globSync(['src/**/*.proto', 'src/cni-plugin/launcher.sh'], { cwd: root })) {
  const target = join(dist, relative('src', file));
  mkdirSync(dirname(target), { recursive: true });
  cpSync(join(root, file), target);
}

// What earlier builds left: other chunks. A lab that runs keeps what it has loaded.
const made = new Set(Object.keys(metafile.outputs).map((file) => join(root, file)));
const chunks = join(dist, 'chunks');
for (const name of readdirSync(chunks)) if (!made.has(join(chunks, name))) rmSync(join(chunks, name));

execFileSync(process.execPath, [join(root, 'scripts/build-cni.ts')], { stdio: 'inherit' });
writeFileSync(join(dist, '.built'), '');
