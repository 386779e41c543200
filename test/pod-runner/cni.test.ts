import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CommandRunner } from '../../src/kernel/command-runner.ts';
import { configFileNames, parseConflist } from '../../src/pod-runner/cni/conflist.ts';
import { type Attachment, resultAddresses } from '../../src/pod-runner/cni/requests.ts';
import { createCniInvoker, loadConflist } from '../../src/pod-runner/cni-invoker.ts';

describe('network configuration', () => {
  const plugin = { type: 'bridge' };

  test('the files are looked at in the order of their names', () => {
    expect(configFileNames(['99.conf', '10-podwire.conflist', '10-podwire.conflist.tmp', 'README', '20.json'])).toEqual([
      '10-podwire.conflist',
      '20.json',
      '99.conf',
    ]);
  });

  test('a single plugin becomes a list of one', () => {
    const list = parseConflist(JSON.stringify({ cniVersion: '0.4.0', name: 'net', type: 'bridge', bridge: 'b0' }), 'x.conf');
    expect(list).toMatchObject({ cniVersion: '0.4.0', name: 'net', plugins: [{ type: 'bridge', bridge: 'b0' }] });
  });

  test.each([
    ['no JSON', '{', /10\.conflist: is not JSON/],
    ['no object', '[]', /is not a JSON object/],
    ['no name', { plugins: [plugin] }, /name must start with/],
    ['a name with a slash', { name: 'a/b', plugins: [plugin] }, /name must start with/],
    ['no plugins', { name: 'net', plugins: [] }, /plugins must be a list of at least one/],
    ['a plugin without a type', { name: 'net', plugins: [plugin, {}] }, /plugins\[1\]\.type must name a plugin/],
    ['a type that is a path', { name: 'net', plugins: [{ type: '../../bin/sh' }] }, /plugins\[0\]\.type/],
    ['a wrong version', { cniVersion: 1, name: 'net', plugins: [plugin] }, /cniVersion must be a version/],
    ['a wrong disableCheck', { name: 'net', disableCheck: 'maybe', plugins: [plugin] }, /disableCheck must be a boolean/],
  ])('%s is refused, naming file and key', (_name, value, problem) => {
    expect(() => parseConflist(typeof value === 'string' ? value : JSON.stringify(value), '10.conflist')).toThrow(problem);
  });

  test('a folder that is not there, or empty, has no configuration; a broken first file is an error', () => {
    const dir = mkdtempSync(join(tmpdir(), 'net.d-'));
    expect(loadConflist(join(dir, 'none'))).toBeUndefined();
    expect(loadConflist(dir)).toBeUndefined();
    writeFileSync(join(dir, '20.conflist'), JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins: [plugin] }));
    expect(loadConflist(dir)?.name).toBe('net');
    writeFileSync(join(dir, '10.conflist'), '{');
    expect(() => loadConflist(dir)).toThrow(/10\.conflist/);
    rmSync(dir, { recursive: true });
  });
});

describe('invoker', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'cni-bin-'));
    mkdirSync(join(dir, 'second'));
    for (const name of ['first', 'second/second']) {
      writeFileSync(join(dir, name), '');
      chmodSync(join(dir, name), 0o755);
    }
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const list = (cniVersion = '1.0.0') =>
    parseConflist(
      JSON.stringify({
        cniVersion,
        name: 'net',
        plugins: [
          { type: 'first', 'cni.dev/x': 1, ipam: {} },
          { type: 'second', capabilities: { portMappings: true, mac: false } },
        ],
      }),
      'x',
    );
  const attachment: Attachment = {
    containerID: 'abc',
    netns: '/run/netns/x',
    ifName: 'eth0',
    args: [
      ['IgnoreUnknown', '1'],
      ['K8S_POD_NAME', 'web'],
    ],
    capabilityArgs: { portMappings: [{ hostPort: 80 }], mac: 'x' },
  };
  interface Call {
    readonly plugin: string;
    readonly env: Readonly<Record<string, string>>;
    readonly config: Record<string, unknown>;
  }
  const invoker = (answer: (call: Call) => { exitCode?: number; stdout?: string; stderr?: string }) => {
    const calls: Call[] = [];
    const runner: CommandRunner = {
      run(command, _args, options = {}) {
        const call = {
          plugin: command.slice(dir.length + 1),
          env: options.env!,
          config: JSON.parse(options.input!) as Record<string, unknown>,
        };
        calls.push(call);
        return Promise.resolve({ exitCode: 0, stdout: '', stderr: '', ...answer(call) });
      },
    };
    return { calls, cni: createCniInvoker({ runner, path: [dir, join(dir, 'second')] }) };
  };

  test('ADD goes forward and hands each the result of the one before', async () => {
    const { calls, cni } = invoker(({ plugin }) => ({ stdout: JSON.stringify({ from: plugin }) }));
    expect(await cni.add(list(), attachment)).toEqual({ from: 'second/second' });
    expect(calls.map(({ plugin, config }) => [plugin, config['prevResult']])).toEqual([
      ['first', undefined],
      ['second/second', { from: 'first' }],
    ]);
    expect(calls[0]!.env).toEqual({
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'abc',
      CNI_NETNS: '/run/netns/x',
      CNI_IFNAME: 'eth0',
      CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=web',
      CNI_PATH: `${dir}:${join(dir, 'second')}`,
    });
    expect(calls[0]!.config).toEqual({ type: 'first', ipam: {}, cniVersion: '1.0.0', name: 'net' });
    expect(calls[1]!.config).toMatchObject({ type: 'second', runtimeConfig: { portMappings: [{ hostPort: 80 }] } });
    expect(calls[1]!.config).not.toHaveProperty('capabilities');
  });

  test('DEL goes backwards with the stored result, which versions before 0.4.0 do not get', async () => {
    const { calls, cni } = invoker(() => ({}));
    await cni.del(list(), { ...attachment, netns: undefined }, { ips: [] });
    await cni.del(list('0.3.1'), attachment, { ips: [] });
    expect(calls.map(({ plugin, config, env }) => [plugin, config['prevResult'], env['CNI_NETNS']])).toEqual([
      ['second/second', { ips: [] }, ''],
      ['first', { ips: [] }, ''],
      ['second/second', undefined, '/run/netns/x'],
      ['first', undefined, '/run/netns/x'],
    ]);
  });

  test('CHECK is left out when the list says so', async () => {
    const { calls, cni } = invoker(() => ({}));
    await cni.check(list(), attachment, {});
    await cni.check({ ...list(), disableCheck: true }, attachment, {});
    expect(calls).toHaveLength(2);
  });

  test('the error of a plugin is told with its name, and ends the chain', async () => {
    const { calls, cni } = invoker(() => ({
      exitCode: 1,
      stdout: JSON.stringify({ code: 11, msg: 'no address', details: 'range is full' }),
    }));
    await expect(cni.add(list(), attachment)).rejects.toMatchObject({
      code: 11,
      plugin: 'first',
      message: 'plugin type="first" failed (add): no address; range is full',
    });
    expect(calls).toHaveLength(1);
    const broken = invoker(() => ({ exitCode: 2, stderr: 'panic' }));
    await expect(broken.cni.add(list(), attachment)).rejects.toThrow('exit code 2: panic');
    const silent = invoker(() => ({ stdout: 'hello' }));
    await expect(silent.cni.add(list(), attachment)).rejects.toThrow(/answer is not a JSON object: "hello"/);
  });

  test('a plugin that is not there is told with the path', async () => {
    const { cni } = invoker(() => ({}));
    const missing = parseConflist(JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins: [{ type: 'third' }] }), 'x');
    await expect(cni.add(missing, attachment)).rejects.toThrow(/failed to find plugin "third" in path/);
  });

  test('the addresses are those of the interface in the container, one of each family', () => {
    const interfaces = [{ name: 'podwire0' }, { name: 'eth0', sandbox: '/run/netns/x' }];
    const ips = [
      { address: '10.0.0.1/24', interface: 0 },
      { address: 'fd00::5/64', interface: 1 },
      { address: '10.244.1.5/24', interface: 1 },
      { address: '10.244.1.6/24', interface: 1 },
    ];
    expect(resultAddresses({ interfaces, ips }, 'eth0')).toEqual(['fd00::5', '10.244.1.5']);
    expect(resultAddresses({ ips: [{ address: '10.244.1.5/24' }] }, 'eth0')).toEqual(['10.244.1.5']);
    expect(() => resultAddresses({ interfaces, ips: [] }, 'eth0')).toThrow('gave the pod no address');
  });
});
