import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { assetFile, builtFile } from '../../runtime/program-files.ts';
import {
  installExecutable,
  installLink,
  isInstalled,
  linkTargetOf,
  readFileIfThere,
  writeFileAtomically,
} from '../../storage/install-file.ts';
import { compileInstallation, type Installation, type InstallationChange } from '../installation.ts';
import { type InstallerInput, type InstallerOptions, installerOptions } from '../installer-options.ts';
import { ipamType } from '../ipam-options.ts';
import { pluginType } from '../render/conflist.ts';

/** Where the build puts the plugin's executable; seen alike from the sources and from the built program. */
const builtExecutable = builtFile(`cni/${pluginType}`);

/** What the runtime runs: it asks the node agent, where there is one, and else runs the executable. */
const launcherFile = assetFile('cni-plugin/launcher.sh');

/** What is put where. */
export interface InstallationPaths {
  readonly conflist: string;
  /** The launcher. */
  readonly executable: string;
  readonly standalone: string;
  /** A symbolic link to the executable: under this name it is an IPAM plugin. */
  readonly ipam: string;
}

const installationPaths = ({
  confDir,
  confFile,
  binDir,
}: Pick<InstallerOptions, 'confDir' | 'confFile' | 'binDir'>): InstallationPaths => ({
  conflist: join(confDir, confFile),
  executable: join(binDir, pluginType),
  standalone: join(binDir, `${pluginType}.standalone`),
  ipam: join(binDir, ipamType),
});

/** Reads and writes the installation of one node. */
export interface Installer {
  readonly paths: InstallationPaths;
  read(): Installation;
  /** What is wrong with the executables, in words; nothing when they are as they should be. */
  problems(): string[];
  /** Each file at once: whoever looks sees the old one or the new one. @throws the system's error */
  apply(change: InstallationChange): void;
}

const standaloneName = `${pluginType}.standalone`;

/** @throws Error when the executable has not been built */
export function openInstaller(
  options: Pick<InstallerOptions, 'confDir' | 'confFile' | 'binDir'>,
  executable: string = builtExecutable,
): Installer {
  if (!existsSync(executable)) throw new Error(`the CNI plugin's executable ${executable} is missing; build it with: npm run build`);
  const paths = installationPaths(options);
  const launcher = readFileSync(launcherFile, 'utf8');
  const problems = (): string[] => {
    const found: string[] = [];
    if (!isInstalled(executable, paths.standalone)) found.push(stale(paths.standalone));
    if (readFileIfThere(paths.executable) !== launcher) found.push(stale(paths.executable));
    if (linkTargetOf(paths.ipam) !== standaloneName) found.push(`${paths.ipam} is not a symbolic link to ${standaloneName}`);
    return found;
  };
  return {
    paths,
    read: () => ({ conflist: readFileIfThere(paths.conflist), executable: problems().length === 0 }),
    problems,
    apply(change) {
      if (change.executable) {
        // The executable first, then what runs it, and last the configuration: a runtime that sees that runs the launcher.
        installExecutable(executable, paths.standalone);
        installLink(standaloneName, paths.ipam);
        writeFileAtomically(paths.executable, launcher, 0o755);
      }
      if (!('conflist' in change)) return;
      if (change.conflist === undefined) rmSync(paths.conflist, { force: true });
      else writeFileAtomically(paths.conflist, change.conflist, 0o644);
    },
  };
}

const stale = (path: string): string => `${path} is ${existsSync(path) ? 'not the one that belongs to this version' : 'missing'}`;

/** Installs once, for these pod CIDRs. Returns the paths written to. @throws RangeError for an option or a pod CIDR, Error when the executable has not been built */
export function installOnce(input: InstallerInput, podCIDRs: readonly string[], executable?: string): InstallationPaths {
  const options = installerOptions(input);
  const installer = openInstaller(options, executable);
  installer.apply({ executable: true, conflist: compileInstallation(options, podCIDRs).conflist });
  return installer.paths;
}
