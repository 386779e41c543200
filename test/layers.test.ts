import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');

interface Cruise {
  readonly modules: readonly { readonly source: string }[];
  readonly summary: {
    readonly violations: readonly { readonly from: string; readonly to: string; readonly rule: { readonly name: string } }[];
  };
}

function cruise(folder: string): Cruise {
  const { stdout, stderr } = spawnSync(
    join(root, 'node_modules/.bin/depcruise'),
    ['--config', '.dependency-cruiser.mjs', '--output-type', 'json', 'src'],
    {
      cwd: folder,
      encoding: 'utf8',
      maxBuffer: 256 * 1024 * 1024,
    },
  );
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Cruise;
}

/** The smallest tree in which each rule can be broken: path -> contents. */
const planted: Readonly<Record<string, readonly [rule: string, text: string]>> = {
  'src/net/a.ts': ['net-knows-nothing', "import '../kernel/door.ts';"],
  'src/kernel/door.ts': ['', 'export const door = 1;'],
  'src/objects/b.ts': ['data-rooms-know-no-effects', "import '../kernel/door.ts';"],
  'src/dns/compile.ts': ['pure-files-have-no-effects', "import '../kernel/door.ts';"],
  'src/dns/daemon.ts': ['', "import '../kernel/door.ts'; export const daemon = 1;"],
  'src/dns/index.ts': ['index-is-pure', "export * from './daemon.ts';"],
  'src/bgp/daemon.ts': ['features-meet-at-the-front-door', "import '../dns/compile.ts';"],
  'src/kernel/c.ts': ['effects-know-no-feature', "import '../dns/index.ts';"],
  'src/bgp/compile.ts': ['nobody-imports-the-composers', "import '../lab/d.ts';"],
  'src/lab/d.ts': ['', 'export const d = 1;'],
  'src/lab/e.ts': ['one-door-to-processes', "import 'execa';"],
  'src/lab/f.ts': ['one-door-to-ip-libraries', "import 'ipaddr.js';"],
  'src/lab/g.ts': ['no-orphan-dev-dependency', "import 'fast-check';"],
  'src/lab/h.ts': ['no-circular', "import './i.ts'; export const h = 1;"],
  'src/lab/i.ts': ['', "import './h.ts'; export const i = 1;"],
};

describe('the layer rules', () => {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-layers-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  beforeAll(() => {
    for (const file of ['.dependency-cruiser.mjs', 'tsconfig.json', 'package.json']) cpSync(join(root, file), join(folder, file));
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    for (const [file, [, text]] of Object.entries(planted)) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), `${text}\n`);
    }
  });

  it('see every module of the tree', () => {
    const { modules } = cruise(root);
    for (const file of ['src/net/prefix.ts', 'src/lab/up.ts', 'src/cli/main.ts', 'src/runtime/sync-loop.ts'])
      expect(modules.map(({ source }) => source)).toContain(file);
  }, 60_000);

  it('catch each planted violation, and nothing else', () => {
    const found = cruise(folder).summary.violations.map(({ from, rule }) => `${from} ${rule.name}`);
    const wanted = Object.entries(planted).flatMap(([file, [rule]]) => (rule === '' ? [] : [`${file} ${rule}`]));
    expect([...new Set(found)].sort()).toEqual(expect.arrayContaining(wanted.sort()));
    for (const clean of ['src/kernel/door.ts', 'src/dns/daemon.ts', 'src/lab/d.ts'])
      expect(found.filter((line) => line.startsWith(`${clean} `))).toEqual([]);
  }, 60_000);
});
