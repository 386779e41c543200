import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** The folder of podwire's package.json, whether this runs from the sources or from a bundle in dist/. */
const packageRoot = findRoot(import.meta.dirname);

const builtFolder = 'dist';
const runsBuilt = relative(packageRoot, import.meta.dirname).split('/')[0] === builtFolder;

/**
 * Node's flags for our daemons. By V8's own defaults the garbage of a busy daemon grows to three times what is in use; and its middle compiler leaves
 * up to 25 MB of holes in the C heap and makes nothing of ours faster (both measured with an API server of 10,000 objects on Node 24.21). bin/podwire
 * gives the same flags.
 */
export const nodeFlags: readonly string[] = ['--max-semi-space-size=8', '--heap-growing-percent=30', '--no-maglev'];

/** Path of a program of ours, given without ending below src/: `cli/main`. The sources when this runs from them, else what was built of them. */
export const programFile = (name: string): string => join(packageRoot, runsBuilt ? `${builtFolder}/${name}.js` : `src/${name}.ts`);

/** Path of a file that is read at run time, below src/: `agent/control.proto`. The build copies it. */
export const assetFile = (name: string): string => join(packageRoot, runsBuilt ? builtFolder : 'src', name);

/** Path of something that only the build makes: `cni/podwire-cni`. */
export const builtFile = (name: string): string => join(packageRoot, builtFolder, name);

function findRoot(from: string): string {
  if (existsSync(join(from, 'package.json'))) return from;
  const above = dirname(from);
  if (above === from) throw new Error('podwire was taken out of its package: there is no package.json above it');
  return findRoot(above);
}
