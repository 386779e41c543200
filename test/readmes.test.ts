import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');

/** The rooms whose README must tell what they do, with an example. Any other room with an example is run too. */
const documented = [
  'api-server',
  'bgp',
  'cni-plugin',
  'controllers',
  'dns',
  'ipam',
  'kube-proxy',
  'netpol',
  'objects',
  'packet-walk',
  'pod-runner',
  'storage',
];

const readmeOf = (room: string): string => {
  const file = join(root, 'src', room, 'README.md');
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
};
const headings = (readme: string): string[] =>
  [...readme.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/^## (.+)$/gm)].map(([, heading]) => heading!);
const exampleIn = (readme: string): string => /^## Example\n+```ts\n([\s\S]*?)^```/m.exec(readme)?.[1] ?? '';

const withExample = globSync('src/*/README.md', { cwd: root })
  .map((file) => dirname(file).slice('src/'.length))
  .filter((room) => headings(readmeOf(room)).includes('Example'));

describe('the README of', () => {
  it.each(documented)('%s tells purpose, input and desired state, and gives an example', (room) => {
    expect(headings(readmeOf(room))).toEqual(['Purpose', 'Input', 'Desired state', 'Example']);
  });
});

describe('the example of', () => {
  // Two levels below the root, as src/<room> is: the examples import '../../src/<room>/index.ts'.
  const folder = join(root, 'test', `.readme-${process.pid}`);
  beforeAll(() => mkdirSync(folder));
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([...new Set([...documented, ...withExample])].toSorted())('%s uses the room, asserts, and runs', async (room) => {
    const example = exampleIn(readmeOf(room));
    expect(example).toContain(`from '../../src/${room}/`);
    expect(example).toMatch(/^\s*assert[.(]/m);
    const file = join(folder, `${room}.ts`);
    writeFileSync(file, example);
    await import(pathToFileURL(file).href);
  });
});
