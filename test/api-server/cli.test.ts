import { execFile } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { cleanup, temporaryFolder } from './harness.ts';

const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;

const run = (...args: string[]): Promise<{ code: unknown; stderr: string }> =>
  new Promise((resolve) => {
    execFile(
      process.execPath,
      [main, 'apiserver', '--health-bind-address', '127.0.0.1:0', ...args],
      { timeout: 15_000 },
      (error, _stdout, stderr) => resolve({ code: error ? (error.code ?? error.signal) : 0, stderr }),
    );
  });

it('wrong usage ends with 2 and says what is expected', async () => {
  const cases: [string[], string][] = [
    [['--insecure-loopback'], "required option '--data-dir <folder>' not specified"],
    [['--data-dir', '/x', '--bind-address', '127.0.0.1'], '--tls-cert-file, --tls-private-key-file and --client-ca-file are needed'],
    [['--data-dir', '/x', '--insecure-loopback'], '--advertise-address is needed'],
    [['--data-dir', '/x', '--service-cluster-ip-range', '10.0.0.1/8'], 'did you mean 10.0.0.0/8?'],
    [['--data-dir', '/x', '--service-node-port-range', '9-1'], 'Expected FIRST-LAST'],
    [['--data-dir', '/x', '--secure-port', '70000'], 'Expected a port'],
  ];
  for (const [args, text] of cases) {
    const { code, stderr } = await run(...args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(text)]);
  }
}, 60_000);

it('a port in use ends with 1, and the store is left free', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  cleanup(() => other.close());
  const port = String((other.address() as AddressInfo).port);
  const args = [
    '--data-dir',
    join(temporaryFolder(), 'store'),
    '--bind-address',
    '127.0.0.1',
    '--insecure-loopback',
    '--secure-port',
    port,
  ];
  for (let i = 0; i < 2; i++) {
    const { code, stderr } = await run(...args);
    expect([code, stderr]).toEqual([1, expect.stringContaining(`cannot listen on 127.0.0.1:${port}: the port is in use`)]);
  }
}, 60_000);
