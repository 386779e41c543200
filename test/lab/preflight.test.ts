import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import type { LabError } from '../../src/lab/errors.ts';
import { checkContainerPrograms, checkMachine, freeLoopbackPort } from '../../src/lab/preflight.ts';

it('a user who is not root is told how to become it', () => {
  expect(() => checkMachine('/usr/bin:/usr/sbin', 1000)).toThrow(
    'a lab needs root, to make network namespaces: run the command again with sudo',
  );
});

it('missing programs are named together with their packages', () => {
  try {
    checkMachine('/nonexistent', 0, []);
    expect.unreachable();
  } catch (error) {
    expect((error as LabError).problems).toHaveLength(1);
    expect((error as Error).message).toMatch(
      /^not installed: ip, nsenter, .*apt-get install iproute2 util-linux nftables iptables conntrack$/,
    );
  }
});

it('what a containerd needs is asked for apart', () => {
  expect(() => checkContainerPrograms('/nonexistent')).toThrow(
    'a node with runtime: cri needs containerd, ctr, crun; run apt-get install containerd crun',
  );
});

it('a port in use is refused by its number, a free one is given back', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await expect(freeLoopbackPort(port)).rejects.toThrow(`port ${port} of 127.0.0.1 is in use`);
  await new Promise((resolve) => server.close(resolve));
  expect(await freeLoopbackPort(port)).toBe(port);
  expect(await freeLoopbackPort(0)).toBeGreaterThan(1023);
});
