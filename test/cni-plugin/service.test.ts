import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseServiceRequest, renderServiceReply } from '../../src/cni-plugin/service.ts';
import { parseLinkEvent } from '../../src/kernel/netlink/link-monitor.ts';
import { fewestLines, operationLines } from '../../src/kernel/netlink/operation-lines.ts';

describe('a request of the launcher', () => {
  it('holds the process id, the variables and the configuration as it was given', () => {
    const stdin = '{\n\n "name": "a=b"}\n';
    expect(parseServiceRequest(`17\nCNI_COMMAND=ADD\nCNI_ARGS=A=1;B=2\nCNI_PATH=\n\n${stdin}`)).toEqual({
      launcher: 17,
      invocation: { environment: { CNI_COMMAND: 'ADD', CNI_ARGS: 'A=1;B=2', CNI_PATH: '' }, stdin },
    });
  });

  it('is none when it is not whole, or anything else', () => {
    for (const text of ['', '17', '17\nCNI_COMMAND=ADD', 'x\nCNI_COMMAND=ADD\n\n{}', '1\nPATH=/\n\n{}', '-1\n\n{}'])
      expect(parseServiceRequest(text)).toBeUndefined();
    fc.assert(fc.property(fc.string(), (text) => void parseServiceRequest(text)));
  });
});

describe('a reply to the launcher', () => {
  it('is its counts, the lines for the pod, and what to print', () => {
    expect(renderServiceReply({ exitCode: 0, podLines: ['link set dev lo up'], stdout: '{"ips":[]}\n' })).toBe(
      '0 1\nlink set dev lo up\n{"ips":[]}\n',
    );
    expect(renderServiceReply({ exitCode: 0, podLines: [], stdout: '' })).toBe('0 0\n\n');
  });

  it('is left to the executable when a pipe or a line does not take it', () => {
    expect(renderServiceReply({ exitCode: 0, podLines: [], stdout: 'x'.repeat(60_000) })).toBeUndefined();
    expect(renderServiceReply({ exitCode: 1, podLines: [], stdout: 'a\nb' })).toBeUndefined();
  });
});

describe('a line of ip monitor', () => {
  it('tells of links and addresses, and that they are gone', () => {
    expect(parseLinkEvent('7: veth0a1b@if2: <BROADCAST,MULTICAST,UP> mtu 1500 \\    link/ether 0e:58:0a:f4:01:02 brd ff')).toEqual({
      name: 'veth0a1b',
      of: 'link',
      deleted: false,
      up: true,
      mac: '0e:58:0a:f4:01:02',
    });
    expect(parseLinkEvent('Deleted 7: veth0a1b@NONE: <BROADCAST> mtu 1500 qdisc noop ')).toMatchObject({ name: 'veth0a1b', deleted: true });
    expect(parseLinkEvent('5: podwire0: <UP> mtu 1500')).toMatchObject({ name: 'podwire0', of: 'link' });
    expect(parseLinkEvent('Deleted 5: podwire0    inet 10.244.1.1/24 brd 10.244.1.255 scope global podwire0\\  valid')).toEqual({
      name: 'podwire0',
      of: 'address',
      deleted: true,
      address: '10.244.1.1/24',
    });
    expect(parseLinkEvent('5: podwire0    inet6 fd00::1/64 scope global ')).toMatchObject({ of: 'address', address: 'fd00::1/64' });
    expect(parseLinkEvent('something else')).toBeUndefined();
  });
});

describe('operations for the running ip', () => {
  it('are as few lines as possible: the settings of a port and of its link are one', () => {
    const port = { op: 'set-bridge-port', name: 'veth1', hairpin: true, isolated: true } as const;
    const link = { op: 'set-link', name: 'veth1', alias: 'default/web 1', linkLocal: false, up: true } as const;
    expect(fewestLines([port, link])).toEqual([
      'link set dev veth1 alias "default/web 1" addrgenmode none up type bridge_slave hairpin on isolated on',
    ]);
    for (const others of [[link, port], [port, { ...link, name: 'veth2' }], [port, { op: 'set-link', name: 'veth1' } as const], [port], []])
      expect(fewestLines(others)).toEqual(others.flatMap(operationLines));
  });
});
