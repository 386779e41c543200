import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import {
  beginRelease,
  decodeReservation,
  holdsReservation,
  parseRangeSets,
  readReservation,
  releaseAddresses,
  releaseMark,
  type ReservationRecord,
  reserveAddresses,
} from '../../src/ipam/index.ts';
import { openClaimFiles } from '../../src/storage/claim-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'podwire-release-'));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('a release is announced by a mark behind the record, which its claims show too; a second announcement changes nothing', () => {
  const store = openClaimFiles(folder, 'boot');
  const owner = { containerId: 'c1', ifname: 'eth0' };
  const record: ReservationRecord = reserveAddresses(store, parseRangeSets([[{ subnet: '10.0.0.0/29' }]]), {
    ...owner,
    network: 'n',
    netns: '/run/netns/c1',
    netnsInode: 1,
    hostLink: 'veth1',
    bootId: 'boot',
    reservedAt: '2024-01-01T00:00:00Z',
  });
  const before = store.readOwner('c1@eth0')!;
  expect(beginRelease(store, owner)?.state).toBe('reserved');
  expect(store.readOwner('c1@eth0')).toBe(before + releaseMark);
  store.appendToOwner('c1@eth0', releaseMark);
  expect(readReservation(store, owner)).toEqual({ ...record, state: 'releasing' });
  expect(decodeReservation(store.readClaim(record.addresses[0]!.text)!)).toMatchObject({ ...owner, state: 'releasing' });
  expect(holdsReservation(store, record)).toBe(false);
  expect(decodeReservation(`${releaseMark}${before}`)).toBeUndefined();
  releaseAddresses(store, owner);
  store.appendToOwner('c1@eth0', releaseMark);
  expect([store.owners(), store.claims()], 'no record is made of a mark alone').toEqual([[], []]);
});
