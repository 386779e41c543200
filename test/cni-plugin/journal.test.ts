import { describe, expect, it } from 'vitest';
import { journalReports } from '../../src/cni-plugin/journal.ts';
import { parseJournal } from '../../src/ipam/index.ts';

const entries = parseJournal(
  [
    '2026-01-01T10:00:00.000Z reserved 10.0.0.2,fd00::2 default/web eth0 aaaa1 boot=b1',
    '2026-01-01T11:00:00.000Z reserved 10.0.0.3,fd00::3 shop/web eth0 bbbb1 boot=b1',
    '2026-01-01T12:00:00.000Z released 10.0.0.2,fd00::2 default/web eth0 aaaa1 boot=b1 since=2026-01-01T10:00:00Z',
    '2026-01-01T13:00:00.000Z reserved 10.0.0.2,fd00::2 - net1 cccc1 boot=b1',
    '2026-01-01T15:00:00.000Z reserved 10.0.0.3,fd00::3 default/new eth0 dddd1 boot=b2',
  ].join('\n'),
);
const told = (question: Parameters<typeof journalReports>[2], boot = 'b2') =>
  journalReports(entries, boot, question).map(({ address, pod, end }) => `${address} ${pod} ${end}`);

describe('the journal', () => {
  it('answers by address, range, pod and container', () => {
    expect(told({ about: '10.0.0.2' })).toEqual(['10.0.0.2 default/web released', '10.0.0.2 cccc1 reboot']);
    expect(told({ about: 'FD00:0::3' })).toEqual(['fd00::3 shop/web reboot', 'fd00::3 default/new held']);
    expect(told({ about: '10.0.0.3/32' })).toEqual(['10.0.0.3 shop/web reboot', '10.0.0.3 default/new held']);
    expect(told({ about: 'shop/web' })).toEqual(['10.0.0.3 shop/web reboot', 'fd00::3 shop/web reboot']);
    expect(told({ about: 'web' })).toHaveLength(4);
    expect(told({ about: 'cccc' })).toHaveLength(2);
    expect(told({ about: 'nobody' })).toEqual([]);
  });

  it('answers for a time: who had it, or nobody', () => {
    const at = (time: string) => told({ about: '10.0.0.2', at: Date.parse(time) });
    expect(at('2026-01-01T09:59:59Z')).toEqual([]);
    expect(at('2026-01-01T11:30:00Z')).toEqual(['10.0.0.2 default/web released']);
    expect(at('2026-01-01T12:00:00Z')).toEqual([]);
    expect(at('2026-01-01T14:00:00Z')).toEqual(['10.0.0.2 cccc1 reboot']);
    expect(told({ about: '10.0.0.0/8', since: Date.parse('2026-01-01T13:30:00Z') })).toEqual([
      '10.0.0.3 shop/web reboot',
      '10.0.0.2 cccc1 reboot',
      '10.0.0.3 default/new held',
    ]);
  });

  it('calls nothing held that was reserved before the running boot', () => {
    expect(told({ about: '10.0.0.3' }, 'b3')).toEqual(['10.0.0.3 shop/web reboot', '10.0.0.3 default/new reboot']);
  });
});
