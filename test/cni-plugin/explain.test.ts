import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Explained, explain, explanationLines } from '../../src/cni-plugin/explain.ts';
import { explainedLinks } from '../../src/cni-plugin/explain-links.ts';
import { requestConfig } from '../../src/cni-plugin/explain-request.ts';
import { overlayStore } from '../../src/cni-plugin/explain-store.ts';
import type { CniPorts } from '../../src/cni-plugin/index.ts';
import type { LinkOperation } from '../../src/dataplane/links.ts';
import { listReservations, parseRangeSets, type ReservationStore, releaseAddresses, reserveAddresses } from '../../src/ipam/index.ts';
import { operationLines } from '../../src/kernel/netlink/operation-lines.ts';
import { baseConfig, createFakeNode, type FakeNode, memoryStore } from './support.ts';
import { reservationRequest } from '../ipam/reservation-request.ts';

const request = (command: string, pod: string, config: object = {}) => ({
  environment: { CNI_COMMAND: command, CNI_CONTAINERID: `c-${pod}`, CNI_NETNS: `/ns/${pod}`, CNI_IFNAME: 'eth0' },
  stdin: JSON.stringify({ ...baseConfig, ...config }),
});

/** Ports over a fake node that change nothing of its links and reservations. */
const explainingPorts =
  ({ ports }: FakeNode) =>
  ({ steps }: Explained): CniPorts => {
    const record = (where: string) => (operations: readonly LinkOperation[]) =>
      void steps.push({ where, command: 'ip', input: operations.flatMap(operationLines) });
    return {
      ...ports,
      host: explainedLinks(ports.host, record('node')),
      pod: (netns) => explainedLinks(ports.pod(netns), record(netns)),
      openStore: (dataDir, name) => overlayStore(ports.openStore(dataDir, name), () => undefined),
    };
  };

/** What a fake node is really asked to do, line by line. */
function watched(node: FakeNode): string[] {
  const lines: string[] = [];
  node.links.onOperation = (path, operation) => {
    lines.push(...operationLines(operation).map((line) => `${path} ${line}`));
    return undefined;
  };
  return lines;
}

describe('an explanation', () => {
  it.each([
    ['bridge', {}],
    ['ptp', { mode: 'ptp', isDefaultGateway: undefined, hairpinMode: undefined }],
  ])('of ADD and DEL in mode %s is what is then done, line by line, and does nothing of it', async (_mode, config) => {
    const node = createFakeNode('a', 'b');
    await node.run('ADD', 'b', config);
    const done = watched(node);
    for (const command of ['ADD', 'DEL']) {
      const before = JSON.stringify([node.store.owners(), node.store.claims()]);
      const explanation = await explain(request(command, 'a', config), explainingPorts(node));
      expect(done, 'nothing has been done').toEqual([]);
      expect(JSON.stringify([node.store.owners(), node.store.claims()])).toBe(before);
      const { json, exitCode } = await node.run(command, 'a', config);
      expect(explanation.exitCode).toBe(exitCode);
      expect(explanation.answer).toEqual(json);
      const told = explanation.steps.flatMap(({ where, input }) => input.map((line) => `${where === 'node' ? '/ns/node' : where} ${line}`));
      expect(told).toEqual(done.splice(0));
      expect(told.length).toBeGreaterThan(command === 'ADD' ? 8 : 0);
    }
  });

  it('of an ADD that takes over what another left behind begins with its removal', async () => {
    const node = createFakeNode('a');
    await node.run('ADD', 'a');
    await node.ports.pod('/ns/a').apply([{ op: 'set-link', name: 'eth0', up: false }]);
    const { steps, exitCode } = await explain(request('ADD', 'a'), explainingPorts(node));
    expect(exitCode).toBe(0);
    expect(
      steps
        .filter(({ where }) => where === 'node')
        .flatMap(({ input }) => input)
        .some((line) => line.startsWith('link delete dev veth')),
    ).toBe(true);
  });

  it('of a request that is refused tells the error object and no step', async () => {
    const node = createFakeNode('a');
    const explanation = await explain(request('ADD', 'a', { mtu: 'many' }), explainingPorts(node));
    expect(explanation).toMatchObject({ exitCode: 1, steps: [], answer: { code: 7 } });
    expect(explanationLines(explanation)[0]).toBe('# ADD would fail with');
    await expect(explain(request('GC', 'a'), explainingPorts(node))).rejects.toThrow('ADD and DEL can be explained');
  });

  it('for people shows each program with its lines, and where it runs', async () => {
    const node = createFakeNode('a');
    const lines = explanationLines(await explain(request('ADD', 'a'), explainingPorts(node)));
    expect(lines.slice(0, 3)).toEqual([
      '# in the node',
      '$ ip',
      '    link add name podwire0 address 0a:58:0a:f4:01:01 mtu 1500 type bridge',
    ]);
    expect(lines).toContain('# in /ns/a');
    expect(lines).toContain('# ADD would succeed with');
  });
});

describe('a store that keeps changes to itself', () => {
  it('looks like one that was changed, and the one below stays as it was', () => {
    const sets = parseRangeSets([[{ subnet: '10.0.0.0/28' }], [{ subnet: 'fd00::/64' }]]);
    const owner = (who: number) => reservationRequest(`c${who}`);
    const step = fc.record({ add: fc.boolean(), who: fc.integer({ min: 0, max: 8 }) });
    const play = (store: ReservationStore, steps: readonly { add: boolean; who: number }[]): void => {
      for (const { add, who } of steps) {
        if (add) reserveAddresses(store, sets, owner(who));
        else releaseAddresses(store, owner(who));
      }
    };
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), fc.array(step, { maxLength: 12 }), (first, then) => {
        const real = memoryStore();
        play(real, first);
        const before = listReservations(real);
        const overlay = overlayStore(real, () => undefined);
        play(overlay, then);
        expect(listReservations(real)).toEqual(before);
        const changed = memoryStore();
        play(changed, [...first, ...then]);
        expect(listReservations(overlay).reservations.map(({ containerId }) => containerId)).toEqual(
          listReservations(changed).reservations.map(({ containerId }) => containerId),
        );
        expect(overlay.claims().length).toBe(overlay.owners().length * 2);
      }),
    );
  });
});

describe('the configuration of a request', () => {
  it('is the text itself, or our plugin out of a list with what the runtime gives to its capabilities', () => {
    expect(requestConfig('{"name": "x"}', undefined)).toBe('{"name": "x"}');
    const list = {
      cniVersion: '1.0.0',
      name: 'net',
      plugins: [{ type: 'tuning' }, { type: 'podwire-cni', capabilities: { ips: true, mac: false } }],
    };
    expect(JSON.parse(requestConfig(JSON.stringify(list), '{"ips": ["10.0.0.1"], "mac": "x", "dns": {}}'))).toEqual({
      type: 'podwire-cni',
      capabilities: { ips: true, mac: false },
      name: 'net',
      cniVersion: '1.0.0',
      runtimeConfig: { ips: ['10.0.0.1'] },
    });
    expect(() => requestConfig('{"plugins": [{"type": "x"}]}', undefined)).toThrow('plugins: none of type podwire-cni');
    expect(() => requestConfig('no', undefined)).toThrow('the configuration is not JSON');
  });
});
