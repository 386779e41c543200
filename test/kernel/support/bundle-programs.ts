import { basename } from 'node:path';
import { build } from 'esbuild';

/**
 * Makes one JavaScript file of each TypeScript program, `NAME.mjs` in the folder: to load one file takes a fraction of the time of loading a hundred,
 * which counts where a program is started often, or where system calls are slow.
 */
export async function bundlePrograms(files: readonly string[], folder: string): Promise<void> {
  await build({
    entryPoints: files.map((file) => ({ in: file, out: basename(file, '.ts') })),
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    logLevel: 'warning',
    // CommonJS packages inside an ES module still call require().
    banner: {
      js: "import { createRequire as createRequireOfBundle } from 'node:module';\nconst require = createRequireOfBundle(import.meta.url);",
    },
  });
}
