import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { damageReporter } from '../../src/cni-plugin/effects/damage-reports.ts';
import { openDeleteQueue, queuedDeletesIn } from '../../src/cni-plugin/effects/delete-queue.ts';
import { invoke } from '../../src/cni-plugin/index.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { baseConfig, createFakeNodeIn, type FakeNode } from './support.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'podwire-damage-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const config = { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] } };
const gcConfig = (...valid: string[]): object => ({
  'cni.dev/valid-attachments': valid.map((pod) => ({ containerID: `c-${pod}`, ifname: 'eth0' })),
});
const recordOf = (pod: string, store = 'podwire'): string => join(folder, store, 'boot-boot', 'owners', `c-${pod}@eth0`);

async function nodeWithPods(): Promise<FakeNode> {
  const node = createFakeNodeIn(folder, 'a', 'b', 'c');
  expect((await node.run('ADD', 'a', config)).exitCode).toBe(0);
  expect((await node.run('ADD', 'b')).exitCode).toBe(0);
  return node;
}

const held = (node: FakeNode): string[] => [...node.store.claims(), ...node.extras.hostPorts.claims()].sort();
const ofA = ['10.244.1.2', 'fd00:10:244:1::2', 'tcp.8080.any4', 'tcp.8080.any6'];
const ofB = ['10.244.1.3', 'fd00:10:244:1::3'];
const portMaps = async (node: FakeNode): Promise<string[]> => {
  const table = await node.extras.nft.read('podwire-net-podwire');
  return [...(table?.sets.values() ?? [])].flatMap(({ elements }) => [...elements.keys()]);
};

describe('a record that is damaged', () => {
  it('is named by CHECK', async () => {
    const node = await nodeWithPods();
    writeFileSync(recordOf('a'), 'x');
    const { json } = await node.run('CHECK', 'a', { ...config, prevResult: { cniVersion: '1.1.0', ips: [] } });
    expect(json).toMatchObject({
      code: 104,
      msg: 'the reservation for container c-a eth0 in /data cannot be read',
      details: 'repair: DEL and ADD the pod again',
    });
  });

  it.each(['DEL', 'ADD', 'GC'])(
    'is ended with all that it held by %s, is kept, and is told of; what others have stays',
    async (command) => {
      const node = await nodeWithPods();
      expect(held(node)).toEqual([...ofA, ...ofB].sort());
      for (const store of ['podwire', '_host-ports']) writeFileSync(recordOf('a', store), '{"containerId": "c-');
      const { exitCode, stdout } = await node.run(command, command === 'GC' ? undefined : 'a', command === 'GC' ? gcConfig('b') : {});
      expect(exitCode, stdout).toBe(0);
      // The new life has new addresses, and asked for no host port.
      expect(held(node)).toEqual([...ofB, ...(command === 'ADD' ? ['10.244.1.4', 'fd00:10:244:1::4'] : [])].sort());
      expect(await portMaps(node)).toEqual([]);
      expect((await node.links.netlink('/ns/node').readPorts('podwire0')).length).toBe(command === 'ADD' ? 2 : 1);
      expect(node.damages.map(({ what, outcome, text }) => ({ what, outcome, text })).sort((a, b) => (a.what < b.what ? -1 : 1))).toEqual([
        {
          what: 'host ports of container c-a eth0',
          outcome: 'it held tcp.8080.any4, tcp.8080.any6, which is free now',
          text: '{"containerId": "c-',
        },
        {
          what: 'reservation in network podwire of container c-a eth0',
          outcome: 'it held 10.244.1.2, fd00:10:244:1::2, which is free now',
          text: '{"containerId": "c-',
        },
      ]);
      expect((await node.run('DEL', 'a')).exitCode).toBe(0);
      expect(held(node)).toEqual(ofB);
    },
  );

  it('that is another owner’s in its place ends its own claims and not those of the other', async () => {
    const node = await nodeWithPods();
    writeFileSync(recordOf('a'), readFileSync(recordOf('b')));
    expect((await node.run('DEL', 'a', config)).exitCode).toBe(0);
    expect(held(node)).toEqual(ofB);
  });

  it('and removed by hand leaves claims, which GC frees; and what is valid keeps them while its record cannot be read', async () => {
    const node = await nodeWithPods();
    rmSync(recordOf('a'));
    rmSync(recordOf('a', '_host-ports'));
    writeFileSync(recordOf('b'), '');
    expect((await node.run('GC', undefined, gcConfig('b'))).exitCode).toBe(0);
    expect(held(node)).toEqual(ofB);
    expect(node.damages.map(({ what }) => what).sort()).toEqual([
      'host ports, claim on tcp.8080.any4',
      'host ports, claim on tcp.8080.any6',
      'reservation in network podwire, claim on 10.244.1.2',
      'reservation in network podwire, claim on fd00:10:244:1::2',
    ]);
  });

  it('so that it names no container that there can be is removed like any other', async () => {
    const node = await nodeWithPods();
    for (const store of ['podwire', '_host-ports'])
      writeFileSync(recordOf('a', store), readFileSync(recordOf('a', store), 'utf8').replace('c-a', 'c/a'));
    expect((await node.run('GC', undefined, gcConfig('b'))).stdout).toBe('');
    expect(held(node)).toEqual(ofB);
  });
});

describe('claims of a valid attachment', () => {
  it.each([
    ['is another file than its claims are, with nothing in it', (path: string) => writeFileSync(path, '')],
    ['is gone', () => undefined],
  ])('are kept by GC when its record %s, so that nobody else is given its addresses', async (_, leave) => {
    const node = await nodeWithPods();
    for (const store of ['podwire', '_host-ports']) {
      rmSync(recordOf('a', store));
      leave(recordOf('a', store));
    }
    expect((await node.run('GC', undefined, gcConfig('a', 'b'))).exitCode).toBe(0);
    expect(held(node)).toEqual([...ofA, ...ofB].sort());
    expect(node.damages).toEqual([]);
    expect((await node.run('ADD', 'c')).json).toMatchObject({ ips: [{ address: '10.244.1.4/24' }, { address: 'fd00:10:244:1::4/64' }] });
    expect((await node.run('DEL', 'a', config)).exitCode).toBe(0);
    expect((await node.run('GC', undefined, gcConfig('b', 'c'))).exitCode).toBe(0);
    expect(held(node)).toEqual([...ofB, '10.244.1.4', 'fd00:10:244:1::4'].sort());
  });
});

describe('the report of a damage', () => {
  const damage = { what: 'reservation of container c1 eth0', outcome: 'it held nothing', text: 'wha\0t' };

  it('keeps what was found, for the owner only, and tells where', () => {
    const told: string[] = [];
    const report = damageReporter((message) => void told.push(message));
    for (let count = 0; count < 2; count++) report({ ...damage, dataDir: folder });
    const names = readdirSync(join(folder, '_damaged'));
    expect(names.length).toBe(2);
    for (const name of names) {
      const path = join(folder, '_damaged', name);
      expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual([damage.text, 0o600]);
      expect(told).toContain(`${damage.what} cannot be read: it held nothing; what was in its place is kept as ${path}`);
    }
  });

  it('tells the text itself when it cannot be kept', () => {
    const told: string[] = [];
    damageReporter((message) => void told.push(message))({ ...damage, dataDir: '/proc/none' });
    expect(told[0]).toMatch(/cannot be kept \(ENOENT.*\): "wha\\u0000t"$/);
  });
});

describe('a data folder where no folder can be made', () => {
  it('is an error and not a wait for ever', async () => {
    const node = createFakeNodeIn('/proc/none', 'a');
    const { json } = await node.run('ADD', 'a');
    expect(json).toMatchObject({ code: 5, msg: expect.stringMatching(/ENOENT.*\/proc\/none/) });
    expect((await node.run('DEL', 'a')).exitCode).toBe(0);
  });
});

describe('a DEL that is queued', () => {
  const queue = (): string => join(folder, 'queue');
  const requestOf = (pod: string, name = 'podwire'): string =>
    [
      '1',
      'CNI_COMMAND=DEL',
      `CNI_CONTAINERID=c-${pod}`,
      `CNI_NETNS=/ns/${pod}`,
      'CNI_IFNAME=eth0',
      'CNI_ARGS=',
      'CNI_PATH=',
      '',
      JSON.stringify({ ...baseConfig, name }),
    ].join('\n');
  const put = (file: string, text: string): void => {
    mkdirSync(queue(), { recursive: true });
    writeFileSync(join(queue(), file), text);
    utimesSync(join(queue(), file), 0, 0);
  };
  const run = async (node: FakeNode, command: string, pod: string | undefined, more: object = {}): Promise<number> => {
    const given = pod === undefined ? {} : { CNI_CONTAINERID: `c-${pod}`, CNI_NETNS: `/ns/${pod}`, CNI_IFNAME: 'eth0' };
    const invocation = { environment: { CNI_COMMAND: command, ...given }, stdin: JSON.stringify({ ...baseConfig, ...more }) };
    return (await invoke(invocation, () => ({ ...node.ports, queuedDeletes: queuedDeletesIn(queue()) }))).exitCode;
  };

  it('is done before the attachment is added again, so that it does not meet the new one', async () => {
    const node = await nodeWithPods();
    put('1.0', requestOf('a'));
    put('2.0', requestOf('b'));
    put('3.0', requestOf('a', 'other'));
    expect(await run(node, 'ADD', 'a')).toBe(0);
    expect(readdirSync(queue()).sort(), 'those of other attachments and networks are left').toEqual(['2.0', '3.0']);
    expect(node.store.claims().sort()).toEqual([...ofB, '10.244.1.4', 'fd00:10:244:1::4'].sort());
  });

  it('is done by a GC that does not know the attachment as valid', async () => {
    const node = await nodeWithPods();
    put('1.0', requestOf('a'));
    put('2.0', requestOf('b'));
    put('3.0', requestOf('gone'));
    expect(await run(node, 'GC', undefined, gcConfig('b'))).toBe(0);
    expect(readdirSync(queue())).toEqual(['2.0']);
    expect(held(node)).toEqual(ofB);
  });

  it('is done when the queue is worked on, whatever else lies there; what cannot be read is kept aside', async () => {
    const node = await nodeWithPods();
    put('0.0', 'no request');
    mkdirSync(join(queue(), '0.1', 'x'), { recursive: true });
    utimesSync(join(queue(), '0.1'), 0, 0);
    put('0.2', '');
    put('1.0', requestOf('a'));
    put('2.0', requestOf('b').replace('"podwire"', '7'));
    const damages: string[] = [];
    const worker = openDeleteQueue({
      folder: queue(),
      log: silentLogger(),
      now: () => 1_000_000,
      reportDamage: ({ what, text }) => void damages.push(`${what}: ${text}`),
      async remove({ invocation }) {
        const { exitCode } = await invoke(invocation, () => node.ports);
        return exitCode === 0 ? 'done' : 'refused';
      },
    });
    await worker.work();
    expect(existsSync(queue()) && readdirSync(queue())).toEqual([]);
    expect(damages).toEqual(['queued DEL 0.0: no request', 'queued DEL 0.1: ', 'queued DEL 0.2: ']);
    expect(held(node)).toEqual(ofB);
  });
});
