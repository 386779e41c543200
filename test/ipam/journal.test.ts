import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseJournal, parseRangeSets, releaseAddresses, reserveAddresses, tenuresOf } from '../../src/ipam/index.ts';
import { readLog } from '../../src/storage/bounded-log.ts';
import { journalPath, openClaimFiles } from '../../src/storage/claim-files.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'podwire-journal-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const sets = parseRangeSets([[{ subnet: '10.0.0.0/29' }], [{ subnet: 'fd00::/64' }]]);
const start = Date.parse('2026-01-01T00:00:00Z');

/** A node that boots with an id, and a clock that goes on by a minute with each step. */
function machine() {
  let now = start;
  return (bootId: string) => {
    const store = { ...openClaimFiles(directory, bootId), now: () => now };
    const request = (containerId: string) => ({
      containerId,
      ifname: 'eth0',
      network: 'n',
      pod: `default/${containerId}`,
      netns: '/ns',
      netnsInode: 1,
      hostLink: 'veth0',
      bootId,
      reservedAt: new Date(now).toISOString(),
    });
    return {
      add(id: string, wish?: (typeof sets)[0][0]['start']) {
        reserveAddresses(store, sets, request(id), [wish], 0);
        now += 60_000;
      },
      remove(id: string) {
        releaseAddresses(store, request(id));
        now += 60_000;
      },
    };
  };
}

const read = (boot: string) =>
  tenuresOf(parseJournal(readLog(journalPath(directory))), boot)
    .filter(({ address }) => address.family === 4)
    .map(({ address, pod, from, until, end }) => {
      const minute = (time: number | undefined) => (time === undefined ? '?' : (time - start) / 60_000);
      return `${address.text} ${pod} ${minute(from)}-${minute(until)} ${end}`;
    });

describe('the journal', () => {
  it('tells who had which address when, across boots', () => {
    const boot = machine();
    const first = boot('first-boot');
    first.add('a');
    first.add('b');
    first.remove('a');
    first.add('c');
    const second = boot('other-boot');
    second.add('d');
    expect(read('other-bo')).toEqual([
      '10.0.0.2 default/a 0-2 released',
      '10.0.0.3 default/b 1-4 reboot',
      '10.0.0.2 default/c 3-4 reboot',
      '10.0.0.2 default/d 4-? held',
    ]);
  });

  it('never has two owners of one address at one time, and ends with those that hold one', () => {
    const step = fc.record({ add: fc.boolean(), who: fc.integer({ min: 0, max: 5 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        rmSync(directory, { recursive: true, force: true });
        const node = machine()('boot');
        const held = new Set<string>();
        for (const { add, who } of steps) {
          if (!add) {
            node.remove(`c${who}`);
            held.delete(`c${who}`);
          } else if (held.size < 5 || held.has(`c${who}`)) {
            node.add(`c${who}`);
            held.add(`c${who}`);
          }
        }
        const tenures = tenuresOf(parseJournal(readLog(journalPath(directory))), 'boot');
        expect(
          tenures
            .filter(({ end, address }) => end === 'held' && address.family === 4)
            .map(({ containerId }) => containerId)
            .sort(),
        ).toEqual([...held].sort());
        for (const [index, a] of tenures.entries())
          for (const b of tenures.slice(index + 1))
            if (a.address.text === b.address.text) expect(a.until, 'the earlier one has ended').toBeLessThanOrEqual(b.from!);
      }),
      { numRuns: 40 },
    );
  });

  it('makes sense of lines that are missing, repeated, cut short or no lines at all', () => {
    const at = (minute: number) => new Date(start + minute * 60_000).toISOString();
    const text = [
      'rubbish',
      `${at(5)} released 10.0.0.9 default/old eth0 old boot=b since=${at(1)}`,
      `${at(6)} released 10.0.0.9 default/old eth0 old boot=b since=${at(1)}`,
      `${at(7)} reserved 10.0.0.2 default/a eth0 a boot=b`,
      `${at(8)} reserved 10.0.0.2 default/a eth0 a boot=b`,
      `2026-01-01T00:08:30Z reserv${at(9)} reserved 10.0.0.2,fd00::2 - eth0 b boot=b`,
      `${at(10)} reserved 10.0.0 default/a eth0 a boot=b`,
    ].join('\n');
    directory = mkdtempSync(join(tmpdir(), 'podwire-journal-'));
    const tenures = tenuresOf(parseJournal(text), 'b').map(({ address, containerId, from, until, end }) => [
      address.text,
      containerId,
      from! - start,
      until && until - start,
      end,
    ]);
    expect(tenures).toEqual([
      ['10.0.0.9', 'old', 60_000, 300_000, 'released'],
      ['10.0.0.2', 'a', 420_000, 540_000, 'unknown'],
      ['10.0.0.2', 'b', 540_000, undefined, 'held'],
      ['fd00::2', 'b', 540_000, undefined, 'held'],
    ]);
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (any) => Array.isArray(tenuresOf(parseJournal(any), 'b'))));
  });
});
