import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandRunner } from '../../kernel/command-runner.ts';
import type { DelegationPorts } from '../delegation.ts';

/** Any: what it means is in the answer. */
const exitCodes = Array.from({ length: 255 }, (_, index) => index + 1);

/** Milliseconds; an IPAM plugin may ask a server on the network. */
const timeout = 60_000;

/** Other plugins and files of this machine. */
export const systemDelegationPorts = (runner: CommandRunner): DelegationPorts => ({
  findPlugin: (folders, name) => folders.map((folder) => join(folder, name)).find(isExecutable),
  runPlugin: (path, input, env) => runner.run(path, [], { input, env, timeout, acceptExitCodes: exitCodes }),
  readText(path) {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  },
});

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
