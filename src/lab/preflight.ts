import { accessSync, constants } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { LabError } from './errors.ts';

/** Programs that a lab needs, and the Debian package of each. */
const programs: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  nft: 'nftables',
  'iptables-restore': 'iptables',
  'ip6tables-restore': 'iptables',
  conntrack: 'conntrack',
};

/** What a node with runtime: cri needs beside them. */
const containerPrograms: Readonly<Record<string, string>> = { containerd: 'containerd', ctr: 'containerd', crun: 'crun' };

export function checkRoot(uid = process.getuid?.() ?? -1): void {
  if (uid !== 0) throw new LabError(needsRoot);
}

const needsRoot = 'a lab needs root, to make network namespaces: run the command again with sudo';

/** Looks at everything a lab needs before anything is made. @throws LabError with a line per problem, each saying what to do. */
export function checkMachine(
  path = process.env['PATH'] ?? '',
  uid = process.getuid?.() ?? -1,
  standardFolders: readonly string[] = ['/usr/sbin', '/sbin'],
): void {
  const problems: string[] = [];
  if (uid !== 0) problems.push(needsRoot);
  const missing = missingOf(programs, [...path.split(':'), ...standardFolders]);
  if (missing.length > 0) {
    const packages = [...new Set(missing.map(([, name]) => name))].join(' ');
    problems.push(
      `not installed: ${missing.map(([program]) => program).join(', ')}; run scripts/setup.sh lab, or apt-get install ${packages}`,
    );
  }
  if (problems.length > 0) throw new LabError(problems);
}

/** What nodes with a containerd need besides. @throws LabError */
export function checkContainerPrograms(path = process.env['PATH'] ?? ''): void {
  const missing = missingOf(containerPrograms, path.split(':'));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(([, name]) => name))].join(' ');
  throw new LabError(`a node with runtime: cri needs ${missing.map(([program]) => program).join(', ')}; run apt-get install ${packages}`);
}

const missingOf = (wanted: Readonly<Record<string, string>>, folders: readonly string[]) =>
  Object.entries(wanted).filter(([program]) => !folders.some((folder) => isExecutable(join(folder, program))));

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The port itself when it is free on 127.0.0.1, or a free one for 0. @throws LabError when it is in use. */
export function freeLoopbackPort(port: number): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const problem =
        error.code === 'EADDRINUSE'
          ? `port ${port} of 127.0.0.1 is in use; choose another with --api-port PORT, or 0 for any free one`
          : `port ${port}: ${error.message}`;
      reject(new LabError(problem));
    });
    server.listen({ host: '127.0.0.1', port }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : port));
    });
  });
}
