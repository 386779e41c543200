import { afterEach, describe, expect, it } from 'vitest';
import { createFakeClock } from '../../src/runtime/fake-clock.ts';
import { createSimulatedNetwork } from '../../src/transport/simulated-tcp.ts';
import { systemTcp, type TcpConnection, type TcpTransport } from '../../src/transport/tcp.ts';

interface Bed {
  readonly client: TcpTransport;
  readonly server: TcpTransport;
  readonly address: string;
  /** Lets time pass until what was started has happened. */
  pass(): Promise<void>;
}

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of cleanup.splice(0)) await each();
});

function simulated(): Bed {
  const clock = createFakeClock();
  const network = createSimulatedNetwork(clock);
  return { client: network.host('127.0.0.2'), server: network.host('127.0.0.1'), address: '127.0.0.1', pass: () => clock.advance(50) };
}

const system = (): Bed => ({
  client: systemTcp,
  server: systemTcp,
  address: '127.0.0.1',
  pass: () => new Promise((resolve) => setTimeout(resolve, 30)),
});

function record(connection: TcpConnection): { text: string; closed: boolean; error: string | undefined } {
  const seen: { text: string; closed: boolean; error: string | undefined } = { text: '', closed: false, error: undefined };
  connection.attach({
    data: (bytes) => (seen.text += new TextDecoder().decode(bytes)),
    closed(error) {
      seen.closed = true;
      seen.error = (error as NodeJS.ErrnoException | undefined)?.code;
    },
  });
  cleanup.push(() => connection.destroy());
  return seen;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

// The simulation is held to what the kernel does: the same tests for both.
describe.each([
  ['the kernel', system],
  ['the simulated network', simulated],
])('TCP of %s', (_, make) => {
  async function connected(): Promise<{ bed: Bed; near: TcpConnection; far: TcpConnection }> {
    const bed = make();
    let far: TcpConnection | undefined;
    const listener = await bed.server.listen(
      { address: bed.address, port: bed.server === systemTcp ? 0 : 179 },
      (connection) => (far = connection),
    );
    cleanup.push(() => listener.close());
    const attempt = bed.client.connect({ address: bed.address, port: listener.address.port, localAddress: '127.0.0.2' });
    await bed.pass();
    return { bed, near: await attempt, far: far! };
  }

  it('carries bytes both ways, in order, also those that came before anybody listened', async () => {
    const { bed, near, far } = await connected();
    near.write(bytes('one '));
    near.write(bytes('two'));
    await bed.pass();
    const atFar = record(far);
    const atNear = record(near);
    far.write(bytes('three'));
    await bed.pass();
    expect([atFar.text, atNear.text]).toEqual(['one two', 'three']);
  });

  it('knows both ends', async () => {
    const { near, far } = await connected();
    expect(near.local).toEqual(far.remote);
    expect(far.remote.address).toBe('127.0.0.2');
    expect(near.remote.address).toBe('127.0.0.1');
  });

  it('delivers what was written before the end, then closes both sides without an error', async () => {
    const { bed, near, far } = await connected();
    const atFar = record(far);
    const atNear = record(near);
    near.write(bytes('last words'));
    near.end();
    await bed.pass();
    expect(atFar).toEqual({ text: 'last words', closed: true, error: undefined });
    expect(atNear.closed).toBe(true);
  });

  it('refuses a connection where nobody listens', async () => {
    const bed = make();
    const attempt = bed.client.connect({ address: bed.address, port: 1 });
    const outcome = expect(attempt).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await bed.pass();
    await outcome;
  });

  it('gives an attempt up when asked to', async () => {
    const bed = make();
    const attempt = bed.client.connect({ address: bed.address, port: 1 }, AbortSignal.abort());
    const outcome = expect(attempt).rejects.toThrow();
    await bed.pass();
    await outcome;
  });

  it('refuses to listen twice on one port', async () => {
    const bed = make();
    const first = await bed.server.listen({ address: bed.address, port: bed.server === systemTcp ? 0 : 179 }, () => undefined);
    cleanup.push(() => first.close());
    await expect(bed.server.listen({ address: bed.address, port: first.address.port }, () => undefined)).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
  });
});

describe('the simulated network', () => {
  it('holds bytes back while a link is down, and delivers them when it is up', async () => {
    const clock = createFakeClock();
    const network = createSimulatedNetwork(clock);
    const [client, server] = [network.host('10.0.0.1'), network.host('10.0.0.2')];
    let far: TcpConnection | undefined;
    await server.listen({ address: '10.0.0.2', port: 179 }, (connection) => (far = connection));
    const attempt = client.connect({ address: '10.0.0.2', port: 179 });
    await clock.advance(10);
    const near = await attempt;
    const atFar = record(far!);
    network.setLink('10.0.0.2', false);
    near.write(bytes('hello'));
    await clock.advance(1_000);
    expect(atFar.text).toBe('');
    network.setLink('10.0.0.2', true);
    await clock.advance(10);
    expect(atFar.text).toBe('hello');
    server.kill();
    const atNear = record(near);
    await clock.advance(10);
    expect(atNear.closed).toBe(true);
  });
});
