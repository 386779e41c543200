import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cniErrorCodes } from '../../src/cni-plugin/errors.ts';
import { baseConfig, createFakeNode, createFakeNodeIn, type FakeAnswer, type FakeNode } from './support.ts';

const pods = ['a', 'b', 'c'];
const bridgeConfig = {
  ...baseConfig,
  ipMasq: true,
  macspoofchk: true,
  runtimeConfig: {
    portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
    bandwidth: { ingressRate: 8_000_000, ingressBurst: 160_000 },
  },
};
const gcConfig = (valid: readonly string[]): object => ({
  'cni.dev/valid-attachments': valid.map((pod) => ({ containerID: `c-${pod}`, ifname: 'eth0' })),
});

/** All codes of the README but `unexpected`: whatever comes in is expected. */
const knownCodes: readonly number[] = Object.values(cniErrorCodes).filter((code) => code !== cniErrorCodes.internal);

/** A result, nothing, or an error object with a code that is documented and a message. */
function checkAnswer({ exitCode, json, stdout }: FakeAnswer): void {
  if (exitCode === 0) {
    if (stdout !== '') expect(json).toMatchObject({ cniVersion: expect.any(String) });
    return;
  }
  expect(exitCode).toBe(1);
  expect(json).toMatchObject({
    cniVersion: expect.stringMatching(/^\d\.\d\.\d$/),
    code: expect.any(Number),
    msg: expect.stringMatching(/./),
  });
  expect(knownCodes, stdout).toContain(json.code);
}

/** What is left of attachments anywhere. */
async function leftovers(node: FakeNode): Promise<string[]> {
  const { sets } = (await node.extras.nft.read('podwire-net-podwire')) ?? { sets: new Map() };
  const namespaces = await Promise.all(pods.map(async (pod) => [...(await node.links.netlink(`/ns/${pod}`).read(['eth0'])).links.keys()]));
  return [
    ...node.store.owners(),
    ...node.store.claims(),
    ...node.store.unfinishedOwners(),
    ...node.extras.hostPorts.owners(),
    ...node.extras.hostPorts.claims(),
    ...(await node.links.netlink('/ns/node').readPorts('podwire0')),
    ...namespaces.flat(),
    ...node.guarded.keys(),
    ...[...sets.values()].flatMap(({ elements }) => [...elements.keys()]),
  ];
}

async function expectClean(node: FakeNode): Promise<void> {
  node.links.onOperation = undefined;
  for (const pod of pods) {
    const { exitCode, stdout } = await node.run('DEL', pod, bridgeConfig);
    expect(exitCode, stdout).toBe(0);
  }
  const { exitCode, stdout } = await node.run('GC', undefined, { ...bridgeConfig, ...gcConfig([]) });
  expect(exitCode, stdout).toBe(0);
  expect(await leftovers(node)).toEqual([]);
}

describe('whatever standard input and environment hold', () => {
  /** The value with one place of it, at any depth, replaced, removed, or doubled. */
  const mangled = (value: unknown): fc.Arbitrary<unknown> => {
    const anything = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom(
        '',
        '0.0.0.0/0',
        '::/0',
        '10.244.1.0/33',
        'fe80::1',
        '-1',
        1e21,
        -1,
        2 ** 31,
        [[]],
        {},
        [{}],
        null,
        '\0',
        'a'.repeat(300),
      ),
    );
    if (typeof value !== 'object' || value === null) return anything;
    const keys = Object.keys(value);
    if (keys.length === 0) return anything;
    const within = fc.constantFrom(...keys).chain((key) =>
      mangled((value as Record<string, unknown>)[key]).map((inner) => {
        const copy = structuredClone(value) as Record<string, unknown>;
        copy[key] = inner;
        return copy as unknown;
      }),
    );
    return fc.oneof({ weight: 1, arbitrary: anything }, { weight: 6, arbitrary: within });
  };
  const full = {
    ...bridgeConfig,
    mtu: 1400,
    mac: '02:00:00:00:00:07',
    dns: { nameservers: ['10.96.0.10'], search: ['x'], options: ['ndots:5'] },
    args: { cni: { ips: ['10.244.1.9/24'] } },
    capabilities: { portMappings: true },
    ipam: { ...baseConfig.ipam, routes: [{ dst: '192.0.2.0/24', gw: '10.244.1.1', mtu: 1400, table: 100, scope: 0 }] },
    runtimeConfig: {
      ...bridgeConfig.runtimeConfig,
      ips: ['10.244.1.10'],
      mac: '02:00:00:00:00:08',
      ipRanges: [],
      dns: { servers: ['10.0.0.1'] },
    },
    prevResult: {
      cniVersion: '1.1.0',
      interfaces: [{ name: 'eth9', mac: '02:00:00:00:00:09', mtu: 1500, sandbox: '/ns/a' }],
      ips: [{ interface: 0, address: '10.7.0.2/24', gateway: '10.7.0.1' }],
      routes: [{ dst: '0.0.0.0/0', gw: '10.7.0.1' }],
      dns: {},
    },
    ...gcConfig(['b']),
  };
  const variables = ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_ARGS', 'CNI_PATH', 'CNI_NETNS_OVERRIDE'];
  const environment = fc.oneof(
    { weight: 2, arbitrary: fc.constant({}) },
    {
      weight: 1,
      arbitrary: fc.dictionary(
        fc.constantFrom(...variables),
        fc.oneof(
          fc.string(),
          fc.constantFrom('', '/ns/b', '/ns/node', '../x', 'IP=10.244.1.77', 'MAC=zz;IP=', 'K8S_POD_NAME=', 'a=b;c', 'eth0\n'),
        ),
        { maxKeys: 2 },
      ),
    },
  );

  it('the answer is a result or an error object with a documented code, and nothing outlives DEL and GC', async () => {
    let added = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(
            fc.constantFrom('ADD', 'ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION', 'X'),
            fc.oneof(fc.constant<unknown>(full), mangled(full), mangled(full)),
            environment,
          ),
          {
            minLength: 1,
            maxLength: 4,
          },
        ),
        async (calls) => {
          const node = createFakeNode(...pods);
          for (const [command, config, changes] of calls) {
            const variables = {
              CNI_COMMAND: command,
              CNI_CONTAINERID: 'c-a',
              CNI_NETNS: '/ns/a',
              CNI_IFNAME: 'eth0',
              CNI_ARGS: '',
              ...changes,
            };
            const answer = await node.raw(variables, JSON.stringify(config) ?? '');
            checkAnswer(answer);
            if (command === 'ADD' && answer.exitCode === 0) added++;
          }
          for (const key of node.store.owners()) {
            const [containerId = '', ifname = ''] = key.split('@');
            await node.raw({ CNI_COMMAND: 'DEL', CNI_CONTAINERID: containerId, CNI_IFNAME: ifname }, JSON.stringify(bridgeConfig));
          }
          await expectClean(node);
          expect(node.damages, 'nothing was left for GC to find').toEqual([]);
        },
      ),
      { numRuns: 300 },
    );
    expect(added, 'many of them are good enough for an ADD').toBeGreaterThan(20);
  }, 60_000);
});

describe('whatever another IPAM plugin answers', () => {
  const good = {
    cniVersion: '1.1.0',
    ips: [{ address: '10.9.0.7/24', gateway: '10.9.0.1' }, { address: 'fd09::7/64' }],
    routes: [{ dst: '0.0.0.0/0' }, { dst: '192.0.2.0/24', gw: '10.9.0.254', mtu: 1400 }],
    dns: { nameservers: ['10.9.0.53'] },
  };
  const answer = fc.oneof(
    fc.record({ json: mangledJson(good), exitCode: fc.constantFrom(0, 0, 0, 1, 139) }),
    fc.record({
      text: fc.oneof(fc.string(), fc.constantFrom('', '{', 'null', '[]', '"x"', `${JSON.stringify(good)}x`)),
      exitCode: fc.constantFrom(0, 1),
    }),
    fc.record({
      json: fc.record({ code: fc.oneof(fc.jsonValue(), fc.integer()), msg: fc.jsonValue(), details: fc.jsonValue() }),
      exitCode: fc.constant(1),
    }),
  );

  it('the answer is a result or an error object, and nothing outlives DEL and GC', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(answer, { minLength: 1, maxLength: 3 }), fc.constantFrom('bridge', 'ptp'), async (answers, mode) => {
        const node = createFakeNode(...pods);
        let next = 0;
        let mends = false;
        node.plugins.installed.set('/plugins/theirs', ({ CNI_COMMAND: command }) => {
          if (command === 'VERSION') return { json: { cniVersion: '1.0.0', supportedVersions: ['1.0.0'] } };
          return mends ? {} : (answers[next++ % answers.length] as object);
        });
        const routed = mode === 'ptp' ? { mode, bridge: undefined, isDefaultGateway: undefined, hairpinMode: undefined } : {};
        const config = { ...bridgeConfig, ...routed, macspoofchk: mode !== 'ptp', dataDir: '/data', ipam: { type: 'theirs' } };
        const run = async (command: string, more: object = {}): Promise<FakeAnswer> => {
          const result = await node.run(command, command === 'GC' ? undefined : 'a', { ...config, ...more }, { CNI_PATH: '/plugins' });
          // Another plugin's code is passed on, whatever it is.
          if (result.exitCode === 0 || result.json.code === cniErrorCodes.internal) checkAnswer(result);
          else expect(result.json).toMatchObject({ code: expect.any(Number), msg: expect.stringMatching(/./) });
          return result;
        };
        const added = await run('ADD');
        if (added.exitCode === 0) await run('CHECK', { prevResult: added.json });
        await run('DEL');
        mends = true;
        await run('DEL');
        expect((await run('GC', gcConfig([]))).exitCode).toBe(0);
        expect(await leftovers(node)).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});

/** As text somewhere in which something is changed; parsed again if it can be. */
function mangledJson(value: object): fc.Arbitrary<object> {
  const text = JSON.stringify(value);
  return fc
    .array(fc.tuple(fc.nat(text.length - 1), fc.constantFrom('0', '9', 'x', '/', ':', '.', '-', '1e9', 'null')), {
      minLength: 0,
      maxLength: 3,
    })
    .map((edits) => {
      let edited = text;
      for (const [at, by] of edits) edited = edited.slice(0, at) + by + edited.slice(at + 1);
      try {
        return JSON.parse(edited) as object;
      } catch {
        return value;
      }
    });
}

describe('whatever has become of the state files', () => {
  let folder: string;
  // In memory, where there is room for it: it is thousands of files.
  beforeAll(() => void (folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'podwire-fuzz-'))));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const filesIn = (path: string): string[] =>
    readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();

  const command = fc.record({ command: fc.constantFrom('ADD', 'ADD', 'DEL', 'CHECK', 'STATUS', 'GC'), pod: fc.constantFrom(...pods) });
  const damage = fc.record({ file: fc.nat(), kind: fc.constantFrom('empty', 'garbage', 'cut', 'bit', 'other', 'huge'), at: fc.nat() });

  /** In place: names that share the file share the damage. */
  function harm(path: string, { file, kind, at }: { file: number; kind: string; at: number }): void {
    const files = filesIn(path);
    const target = files[file % files.length];
    if (target === undefined) return;
    const bytes = readFileSync(target);
    if (kind === 'empty') writeFileSync(target, '');
    else if (kind === 'garbage') writeFileSync(target, '\0\xff{"containerId":"c-b"');
    else if (kind === 'cut') writeFileSync(target, bytes.subarray(0, at % (bytes.length + 1)));
    else if (kind === 'other') writeFileSync(target, readFileSync(files[at % files.length]!));
    else if (kind === 'huge') writeFileSync(target, Buffer.alloc(100_000, 0x31));
    else if (bytes.length > 0) {
      bytes[at % bytes.length]! ^= 1 << (at % 8);
      writeFileSync(target, bytes);
    }
  }

  it('no command crashes, no address is given twice, and nothing outlives DEL and GC', async () => {
    let reported = 0;
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(command, command, damage), { minLength: 3, maxLength: 14 }), async (steps) => {
        const path = join(folder, `${run++}`);
        const node = createFakeNodeIn(path, ...pods);
        await node.run('ADD', 'a', bridgeConfig);
        for (const step of steps) {
          if (!('command' in step)) {
            harm(path, step);
            continue;
          }
          const portMappings = [{ hostPort: 8_000 + pods.indexOf(step.pod), containerPort: 80, protocol: 'tcp' }];
          const config = { ...bridgeConfig, runtimeConfig: { portMappings }, ...(step.command === 'GC' ? gcConfig([step.pod]) : {}) };
          const prevResult = { cniVersion: '1.1.0', interfaces: [], ips: [], routes: [], dns: {} };
          const answer = await node.run(step.command, step.command === 'GC' ? undefined : step.pod, {
            ...config,
            ...(step.command === 'CHECK' ? { prevResult } : {}),
          });
          checkAnswer(answer);
          const addresses = await Promise.all(
            pods.map(async (pod) =>
              ((await node.links.netlink(`/ns/${pod}`).read(['eth0'])).links.get('eth0')?.addresses ?? []).map(
                ({ address }) => address.text,
              ),
            ),
          );
          expect(new Set(addresses.flat()).size, 'no address twice').toBe(addresses.flat().length);
        }
        await expectClean(node);
        reported += node.damages.length;
        rmSync(path, { recursive: true });
      }),
      { numRuns: 120 },
    );
    expect(reported, 'damage is told of').toBeGreaterThan(20);
  }, 60_000);
});
