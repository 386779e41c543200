import type { Container } from '../objects/client.ts';

/** A program that ships with podwire, by the name of its file below `programs/`. */
export type BuiltInProgram = 'web';

/** What an image name stands for here: a built-in program with its first arguments, or a plain userland whose command is the host's. */
type BuiltInImage =
  | { readonly kind: 'program'; readonly program: BuiltInProgram; readonly args: (container: Container) => readonly string[] }
  | { readonly kind: 'userland'; readonly command: readonly string[] };

/** How to start a container. */
export type ImageResolution =
  | { readonly kind: 'program'; readonly program: BuiltInProgram; readonly args: readonly string[]; readonly imageID: string }
  | { readonly kind: 'command'; readonly argv: readonly string[]; readonly imageID: string }
  | { readonly kind: 'unknown'; readonly message: string };

const firstTcpPort = (container: Container): string =>
  String(container.ports?.find(({ protocol = 'TCP' }) => protocol === 'TCP')?.containerPort ?? 80);
const web: BuiltInImage = { kind: 'program', program: 'web', args: (container) => ['serve', `--http-port=${firstTcpPort(container)}`] };
const shell: BuiltInImage = { kind: 'userland', command: ['sh'] };

const images: ReadonlyMap<string, BuiltInImage> = new Map<string, BuiltInImage>([
  ['docker.io/library/nginx', web],
  ['docker.io/library/httpd', web],
  ['docker.io/traefik/whoami', web],
  ['registry.k8s.io/e2e-test-images/agnhost', { kind: 'program', program: 'web', args: ({ args }) => args ?? ['pause'] }],
  ['registry.k8s.io/pause', { kind: 'program', program: 'web', args: () => ['pause'] }],
  ['docker.io/library/busybox', shell],
  ['docker.io/library/alpine', shell],
  ['docker.io/library/debian', shell],
  ['docker.io/library/ubuntu', shell],
  ['docker.io/nicolaka/netshoot', shell],
]);

/** The image names that stand for something here, in their short form. */
export const knownImages: readonly string[] = [...images.keys()].map((name) => name.replace(/^docker\.io\/(library\/)?/, ''));

/**
 * The full name of an image as container runtimes print it: `nginx` is `docker.io/library/nginx:latest`. A digest stays, without a tag.
 */
export function normalizeImage(image: string): string {
  const { name, suffix } = splitImage(image);
  return name + (suffix || ':latest');
}

function splitImage(image: string): { name: string; suffix: string } {
  const digest = image.indexOf('@');
  const colon = image.lastIndexOf(':', digest === -1 ? undefined : digest);
  // A colon before the last slash belongs to the registry's port.
  const tag = colon > image.lastIndexOf('/', digest === -1 ? undefined : digest) ? colon : -1;
  const end = tag !== -1 ? tag : digest !== -1 ? digest : image.length;
  const path = image.slice(0, end);
  const first = path.split('/')[0]!;
  const hasRegistry = path.includes('/') && (/[.:]/.test(first) || first === 'localhost');
  const name = hasRegistry ? path : path.includes('/') ? `docker.io/${path}` : `docker.io/library/${path}`;
  return { name, suffix: image.slice(end) };
}

/**
 * What to start for a container. A container with a `command` runs that program of the host, whatever its image is called; one without
 * runs what its image stands for. `args` follow the command; alone they are the command of a userland image, which has no entry point.
 */
export function resolveImage(container: Container): ImageResolution {
  const { command = [], args = [], image = '' } = container;
  if (command.length > 0) return { kind: 'command', argv: [...command, ...args], imageID: 'podwire://host' };
  const { name } = splitImage(image);
  // Mirrors keep the path and change the registry.
  const known = images.get(name) ?? images.get(`docker.io/${name.slice(name.indexOf('/') + 1)}`);
  if (!known) return { kind: 'unknown', message: unknownImage(image) };
  const imageID = `podwire://builtin/${name.split('/').at(-1)}`;
  if (known.kind === 'program') return { kind: 'program', program: known.program, args: known.args(container), imageID };
  return { kind: 'command', argv: args.length > 0 ? args : known.command, imageID };
}

const unknownImage = (image: string): string =>
  `podwire pulls no images, and ${JSON.stringify(image)} is none of those it has built in (${knownImages.join(', ')}); ` +
  'give the container a `command` to run a program of the host instead';
