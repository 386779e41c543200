import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { AddressesExhaustedError, listReservations, parseRangeSets, releaseAddresses, reserveAddresses } from '../../src/ipam/index.ts';
import { openClaimFiles } from '../../src/storage/claim-files.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'podwire-claims-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

// Bundled, it starts in a third of the time.
const bundles = mkdtempSync(join(tmpdir(), 'podwire-reserve-'));
const program = join(bundles, 'reserve.cjs');
beforeAll(() =>
  build({
    entryPoints: [join(import.meta.dirname, 'reserve-process.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'cjs',
  }),
);
afterAll(() => rmSync(bundles, { recursive: true, force: true }));

const run = promisify(execFile);
const reserve = async (prefix: string, count: number): Promise<string[]> => {
  const { stdout } = await run(process.execPath, [program, directory, prefix, String(count)]);
  return stdout.trim().split('\n');
};

describe('reservations in files', () => {
  it('never give an address twice to 100 processes at once', async () => {
    const lines = (await Promise.all(Array.from({ length: 100 }, (_, index) => reserve(`p${index}`, 6)))).flat();
    expect(lines.length).toBe(400);
    for (const family of [0, 1]) expect(new Set(lines.map((line) => line.split(' ')[family])).size).toBe(400);
    const { reservations, unexplained } = listReservations(openClaimFiles(directory, 'boot'));
    expect(reservations.map(({ addresses }) => addresses.map(({ text }) => text).join(' ')).toSorted()).toEqual(lines.toSorted());
    expect(unexplained).toEqual([]);
    expect(
      readdirSync(join(directory, 'boot-boot/owners')).filter((name) => name.startsWith('.')),
      'no temporary file is left',
    ).toEqual([]);
  }, 60_000);

  it('survive processes that are killed at any time: what they held is found by its owner, and no address is lost', async () => {
    const sets = parseRangeSets([[{ subnet: '10.244.0.0/22' }], [{ subnet: 'fd00::/64' }]]);
    const store = openClaimFiles(directory, 'boot');
    for (let round = 0; round < 4; round++) {
      const children = Array.from({ length: 4 }, (_, index) =>
        spawn(process.execPath, [program, directory, `r${round}-${index}`, '100000'], { stdio: 'ignore' }),
      );
      const ended = children.map((child) => new Promise((resolve) => child.once('exit', resolve)));
      // The first reservation tells that they work; the time after it is anybody's guess.
      await vi.waitFor(() => expect(store.owners().length).toBeGreaterThan(0), 10_000);
      await new Promise((resolve) => setTimeout(resolve, round * 7));
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(ended);
      // As GC does: by the owners alone.
      for (const key of readdirSync(join(directory, 'boot-boot/owners'))) {
        const [containerId = '', ifname = ''] = key.replace(/^\./, '').split('@');
        releaseAddresses(store, { containerId, ifname });
      }
      expect(listReservations(store)).toEqual({ reservations: [], unexplained: [] });
    }
    const given = new Set<string>();
    const reserveOne = (containerId: string) =>
      reserveAddresses(store, sets, {
        containerId,
        ifname: 'eth0',
        network: 'n',
        netns: '/ns',
        netnsInode: 1,
        hostLink: 'v',
        bootId: 'boot',
        reservedAt: '',
      });
    for (let n = 0; n < 1_021; n++) given.add(reserveOne(`c${n}`).addresses[0]!.text);
    expect(given.size).toBe(1_021);
    expect(() => reserveOne('one-more')).toThrow(AddressesExhaustedError);
  }, 60_000);

  it('can be read by a person, file by file', async () => {
    await reserve('p', 1);
    const text = readFileSync(join(directory, 'boot-boot/claims/10.244.0.2'), 'utf8');
    expect(JSON.parse(text)).toMatchObject({
      containerId: 'p-0',
      ifname: 'eth0',
      addresses: ['10.244.0.2', 'fd00::2'],
      state: 'reserved',
      bootId: 'boot',
    });
    expect(text.split('\n').length).toBeGreaterThan(5);
  });

  it('are all void after a reboot, and the old ones are removed', async () => {
    mkdirSync(join(directory, 'boot-before/claims'), { recursive: true });
    writeFileSync(join(directory, 'boot-before/claims/10.244.0.2'), 'x');
    expect(await reserve('p', 1)).toEqual(['10.244.0.2 fd00::2']);
    expect(existsSync(join(directory, 'boot-before'))).toBe(false);
  });

  it('of an absent folder are none, and nothing is made by looking', () => {
    const store = openClaimFiles(join(directory, 'none'), 'boot');
    expect(listReservations(store)).toEqual({ reservations: [], unexplained: [] });
    expect([store.version(), existsSync(join(directory, 'none'))]).toEqual(['absent', false]);
  });

  it('refuse names that would leave the folder', () => {
    const store = openClaimFiles(directory, 'boot');
    for (const name of ['../x', 'a/b', '', '.hidden', 'x'.repeat(300)]) expect(() => store.readOwner(name)).toThrow(RangeError);
    expect(() => openClaimFiles(directory, '../x')).toThrow(RangeError);
  });
});
