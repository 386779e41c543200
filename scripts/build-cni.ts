/**
 * Builds dist/cni/podwire-cni: the CNI plugin as one executable that needs no Node on the PATH. The plugin is bundled to one CommonJS file,
 * put with its code cache into a copy of this project's Node (a single-executable application), and renamed into place, so that a running
 * executable is never written to. Nothing is done when no input has changed. `--force` builds anyway.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '..');
const target = join(root, 'dist/cni/podwire-cni');
const postject = join(root, 'node_modules/postject/dist/cli.js');
const stampFile = `${target}.stamp`;

/** Marks the place in the Node binary that tells whether a program has been injected (Node documentation, "Single executable applications"). */
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

async function main(): Promise<void> {
  const started = performance.now();
  const node = nodeBinary();
  const { code, inputs } = await bundle();
  const stamp = `${createHash('sha256')
    .update(code)
    .update(readFileSync(import.meta.filename))
    .digest('hex')} ${nodeStamp(node)}\n`;
  if (!process.argv.includes('--force') && existsSync(target) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) {
    console.log(`${relative(root, target)} is up to date (${inputs} source files)`);
    return;
  }
  mkdirSync(dirname(target), { recursive: true });
  // Beside the target, so that the rename at the end stays on one file system.
  const folder = mkdtempSync(join(dirname(target), '.build-'));
  try {
    const executable = assemble(node, code, folder);
    checkRuns(executable);
    renameSync(executable, target);
    writeFileSync(`${folder}/stamp`, stamp);
    renameSync(`${folder}/stamp`, stampFile);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const { size } = statSync(target);
  console.log(
    `${relative(root, target)}: ${(size / 1e6).toFixed(0)} MB, ${(code.length / 1e3).toFixed(0)} kB of it ours, in ${((performance.now() - started) / 1e3).toFixed(1)} s`,
  );
}

/** The Node of the npm package `node`, whichever Node runs this. */
function nodeBinary(): string {
  const packaged = join(root, 'node_modules/node/bin/node');
  if (!existsSync(packaged)) throw new Error(`${relative(root, packaged)} is missing; run npm install`);
  return packaged;
}

function nodeStamp(node: string): string {
  const { size, mtimeMs } = statSync(node);
  return `${size} ${mtimeMs}`;
}

async function bundle(): Promise<{ code: string; inputs: number }> {
  const result = await build({
    stdin: {
      contents: `import { main } from './src/cni-plugin/main.ts';\nvoid main();\n`,
      resolveDir: root,
      sourcefile: 'entry.ts',
      loader: 'ts',
    },
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
    write: false,
  });
  const inputs = Object.keys(result.metafile.inputs);
  // Loading it at every start would cost more than the rest of the plugin.
  const heavy = Object.entries(Object.values(result.metafile.outputs)[0]!.inputs).filter(
    ([file, { bytesInOutput }]) => /node_modules\/(execa|pino|commander|typebox)\//.test(file) && bytesInOutput > 0,
  );
  if (heavy.length > 0) throw new Error(`the plugin must start fast, but its bundle holds ${heavy.map(([file]) => file).join(', ')}`);
  return { code: result.outputFiles[0]!.text, inputs: inputs.length };
}

function assemble(node: string, code: string, folder: string): string {
  const path = (name: string): string => join(folder, name);
  writeFileSync(path('main.cjs'), code);
  writeFileSync(
    path('sea.json'),
    JSON.stringify({
      main: path('main.cjs'),
      output: path('blob'),
      disableExperimentalSEAWarning: true,
      useCodeCache: true,
      // NODE_OPTIONS of whoever invokes the plugin is meant for other programs.
      execArgvExtension: 'none',
    }),
  );
  // The code cache fits only the very Node that made it.
  execFileSync(node, ['--experimental-sea-config', path('sea.json')], { stdio: 'pipe' });
  copyFileSync(node, path('podwire-cni'));
  chmodSync(path('podwire-cni'), 0o755);
  // Its standard error is a warning about each of Node's notes, which it does not touch; a failure shows in the exit code.
  execFileSync(node, [postject, path('podwire-cni'), 'NODE_SEA_BLOB', path('blob'), '--sentinel-fuse', fuse], { stdio: 'ignore' });
  return path('podwire-cni');
}

function checkRuns(executable: string): void {
  const answer = execFileSync(executable, { input: '{"cniVersion":"1.1.0"}', env: { CNI_COMMAND: 'VERSION' }, encoding: 'utf8' });
  if (!answer.includes('"supportedVersions"')) throw new Error(`the executable does not answer VERSION: ${answer.slice(0, 200)}`);
}

await main();
