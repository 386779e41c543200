import { createHash } from 'node:crypto';

/** One entry of an archive: a folder (path with a slash at its end), a link (`link`), or a file. Paths are relative. */
export interface ArchiveEntry {
  readonly path: string;
  readonly content?: Uint8Array;
  /** Target of a symbolic link. */
  readonly link?: string;
  /** Permissions; 0755 when left out. */
  readonly mode?: number;
}

const blockLength = 512;

/** A tar archive as POSIX.1-1988 (ustar) says: everything belongs to root, times are the epoch. @throws RangeError for a name over 100 bytes */
export function tarArchive(entries: readonly ArchiveEntry[]): Buffer {
  const blocks = entries.flatMap(({ path, content = new Uint8Array(), link, mode = 0o755 }) => {
    const kind = path.endsWith('/') ? '5' : link === undefined ? '0' : '2';
    const padding = Buffer.alloc((blockLength - (content.length % blockLength)) % blockLength);
    return [tarHeader(path, kind, mode, content.length, link ?? ''), content, padding];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockLength)]);
}

function tarHeader(path: string, kind: string, mode: number, size: number, link: string): Buffer {
  for (const name of [path, link]) if (Buffer.byteLength(name) > 100) throw new RangeError(`${name} is too long a name for the archive`);
  const header = Buffer.alloc(blockLength);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, '0')}\0`;
  const fields: readonly (readonly [offset: number, text: string])[] = [
    [0, path],
    [100, octal(mode, 8)],
    [108, octal(0, 8)],
    [116, octal(0, 8)],
    [124, octal(size, 12)],
    [136, octal(0, 12)],
    // The checksum is taken over blanks in its own place.
    [148, ' '.repeat(8)],
    [156, kind],
    [157, link],
    [257, 'ustar\x0000'],
  ];
  for (const [offset, text] of fields) header.write(text, offset, 'utf8');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

export interface OciImage {
  /** Full name with tag: `registry.k8s.io/pause:3.6`. */
  readonly name: string;
  readonly files: readonly ArchiveEntry[];
  readonly entrypoint: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: readonly string[];
}

/** The architectures by their names in Node and in Go. */
const goArchitectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/**
 * An image of one layer as an archive that `ctr images import` and `podman load` take: an OCI image layout (image-spec 1.0) in a tar.
 * @param architecture as `process.arch` names it. @throws RangeError for one that has no name here
 */
export function ociArchive({ name, files, entrypoint, command = [], environment = [] }: OciImage, architecture: string): Buffer {
  const goArchitecture = goArchitectures[architecture];
  if (goArchitecture === undefined) throw new RangeError(`no image can be made for the architecture ${architecture}`);
  const blobs: ArchiveEntry[] = [];
  const add = (content: Buffer, mediaType: string) => {
    const hash = createHash('sha256').update(content).digest('hex');
    blobs.push({ path: `blobs/sha256/${hash}`, content, mode: 0o644 });
    return { mediaType, digest: `sha256:${hash}`, size: content.length };
  };
  const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
  const layer = add(tarArchive(files), 'application/vnd.oci.image.layer.v1.tar');
  const config = add(
    json({
      architecture: goArchitecture,
      os: 'linux',
      config: { Entrypoint: entrypoint, Cmd: command, Env: environment },
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
    }),
    'application/vnd.oci.image.config.v1+json',
  );
  const manifestType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = add(json({ schemaVersion: 2, mediaType: manifestType, config, layers: [layer] }), manifestType);
  const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name };
  return tarArchive([
    { path: 'oci-layout', content: json({ imageLayoutVersion: '1.0.0' }), mode: 0o644 },
    { path: 'index.json', content: json({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }), mode: 0o644 },
    { path: 'blobs/' },
    { path: 'blobs/sha256/' },
    ...blobs,
  ]);
}
