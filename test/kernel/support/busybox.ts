// A userland for containers out of Debian's busybox-static, so that no image is to be downloaded.
import { accessSync, constants, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type ArchiveEntry, ociArchive } from '../../../src/lab/cri/oci-archive.ts';

export const busyboxImage = 'docker.io/library/busybox:1.35';

const applets = ['cat', 'echo', 'env', 'hostname', 'httpd', 'id', 'ip', 'mkdir', 'nc', 'ping', 'sh', 'sleep', 'stty', 'touch', 'wget'];

function busybox(): Buffer {
  const file = '/bin/busybox';
  try {
    accessSync(file, constants.X_OK);
  } catch {
    throw new Error(`${file} is not installed: these tests need it as the userland of containers; run apt-get install busybox-static`);
  }
  return readFileSync(file);
}

/** The root file system, outer folders first. */
const files = (): readonly ArchiveEntry[] => [
  ...['bin/', 'dev/', 'etc/', 'proc/', 'sys/', 'tmp/', 'var/'].map((path) => ({ path })),
  { path: 'bin/busybox', content: busybox() },
  ...applets.map((applet) => ({ path: `bin/${applet}`, link: 'busybox' })),
  { path: 'etc/passwd', content: Buffer.from('root:x:0:0:root:/:/bin/sh\n'), mode: 0o644 },
  { path: 'www/' },
];

/** Writes an archive with {@link busyboxImage}. */
export function writeBusyboxArchive(file: string): void {
  writeFileSync(
    file,
    ociArchive({ name: busyboxImage, files: files(), entrypoint: [], command: ['sh'], environment: ['PATH=/bin'] }, process.arch),
  );
}

/** Writes the root file system into a folder, which is made. */
export function writeBusyboxRoot(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const { path, content, link, mode = 0o755 } of files()) {
    const file = join(folder, path);
    if (path.endsWith('/')) mkdirSync(file, { recursive: true });
    else {
      mkdirSync(dirname(file), { recursive: true });
      if (link === undefined) writeFileSync(file, content!, { mode });
      else symlinkSync(link, file);
    }
  }
}

/** A web server that answers with a text at `/`. */
export const webCommand = (text: string, port: number): readonly string[] => [
  'sh',
  '-c',
  `echo ${text} >/www/index.html; exec httpd -f -p ${port} -h /www`,
];
