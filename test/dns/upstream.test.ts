import { decode, encode, type Packet } from 'dns-packet';
import { describe, expect, it } from 'vitest';
import { startDns } from '../../src/dns/daemon.ts';
import type { DnsOptions } from '../../src/dns/index.ts';
import { createFakeCluster } from '../../src/kube/fake-cluster.ts';
import { resources } from '../../src/objects/index.ts';
import { createFakeClock } from '../../src/runtime/fake-clock.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { Registry } from '../../src/runtime/metrics.ts';
import { createSimulatedNetwork } from '../../src/transport/simulated-tcp.ts';
import { createSimulatedUdp } from '../../src/transport/simulated-udp.ts';
import { frame, splitMessages } from '../../src/transport/dns-tcp.ts';
import { decodeAnswer, encodeRequest, sampleInput, type Answered } from './fixtures.ts';

/** One answer, several in this order, or none. */
type Reply = (request: Packet) => Partial<Packet> | Partial<Packet>[] | undefined;
const answerA =
  (data: string) =>
  (request: Packet): Partial<Packet> => ({ answers: request.questions!.map(({ name }) => ({ name, type: 'A', ttl: 60, data })) });
const encodeReply = (request: Packet, reply: Partial<Packet>): Buffer =>
  encode({
    type: 'response',
    ...(request.id === undefined ? {} : { id: request.id }),
    flags: 0x0180,
    questions: request.questions!,
    ...reply,
  } as Packet);

/** A server at 10.0.0.1 with upstreams played by the test, all in memory. */
async function world(upstreams: Record<string, Reply>, options: Partial<DnsOptions> = {}) {
  const clock = createFakeClock();
  const network = createSimulatedUdp();
  const tcp = createSimulatedNetwork(clock, { latency: 0 });
  const asked: string[] = [];
  for (const [address, reply] of Object.entries(upstreams)) {
    const socket = await network.host(address).bind({ address, port: 53 }, (bytes, from) => {
      const request = decode(bytes);
      if (request.questions![0]!.name.includes('loop-probe')) return;
      asked.push(`udp ${address} ${request.questions![0]!.name}`);
      for (const answer of [reply(request) ?? []].flat()) socket.send(encodeReply(request, answer), from);
    });
    await tcp.host(address).listen({ address, port: 53 }, (connection) => {
      const split = splitMessages(65_535, (bytes) => {
        const request = decode(Buffer.from(bytes));
        asked.push(`tcp ${address} ${request.questions![0]!.name}`);
        connection.write(frame(encodeReply(request, { ...reply(request), flags: 0x0180 })));
      });
      connection.attach({ data: (bytes) => void split(bytes), closed: () => undefined });
    });
  }
  const cluster = createFakeCluster();
  for (const object of sampleInput().services) cluster.set(resources.services, object);
  for (const object of sampleInput().namespaces) cluster.set(resources.namespaces, object);
  const udp = network.host('10.0.0.1');
  const dns = await startDns(
    { listenAddresses: ['10.0.0.1'], forward: Object.keys(upstreams), ...options },
    { cluster, udp, tcp: tcp.host('10.0.0.1') },
    { log: silentLogger(), clock, metrics: new Registry(), health: createHealth() },
  );
  await clock.advance(100);
  const answers: Answered[] = [];
  const client = await network
    .host('10.0.0.9')
    .bind({ address: '10.0.0.9', port: 5_000 }, (bytes) => void answers.push(decodeAnswer(bytes)));
  const ask = async (name: string, more: Partial<Packet> = {}, wait = 10_000): Promise<Answered | undefined> => {
    const before = answers.length;
    client.send(encodeRequest(name, 'A', more), { address: '10.0.0.1', port: 53 });
    for (let waited = 0; waited <= wait && answers.length === before; waited += 500) await clock.advance(500);
    return answers[before];
  };
  return { dns, ask, asked, network, clock, client, answers };
}

describe('forwarding', () => {
  it('passes the answer on under the id and the name asked', async () => {
    const { ask, dns } = await world({ '10.0.0.53': answerA('192.0.2.1') });
    const answer = await ask('WWW.example.com', { id: 99 });
    expect(answer).toMatchObject({
      rcode: 'NOERROR',
      aa: false,
      answers: ['WWW.example.com A 192.0.2.1'],
      packet: { id: 99, flag_ra: true },
    });
    await dns.stop();
  });

  it('resolves an ExternalName to the end, through Services and upstream', async () => {
    const { ask, dns } = await world({ '10.0.0.53': answerA('192.0.2.1') });
    expect((await ask('out.default.svc.cluster.local'))?.answers).toEqual([
      'out.default.svc.cluster.local CNAME www.example.com',
      'www.example.com A 192.0.2.1',
    ]);
    await dns.stop();
  });

  it('asks the next upstream when one is silent, and the silent one last for a while', async () => {
    const { ask, asked, dns } = await world({ '10.0.0.53': () => undefined, '10.0.0.54': answerA('192.0.2.2') });
    expect((await ask('a.example'))?.answers).toEqual(['a.example A 192.0.2.2']);
    expect((await ask('b.example'))?.answers).toEqual(['b.example A 192.0.2.2']);
    expect(asked).toEqual(['udp 10.0.0.53 a.example', 'udp 10.0.0.54 a.example', 'udp 10.0.0.54 b.example']);
    expect(dns.report().upstreams).toEqual([
      { server: '10.0.0.53:53', state: 'down' },
      { server: '10.0.0.54:53', state: 'up' },
    ]);
    await dns.stop();
  });

  it('asks the next upstream after SERVFAIL, and answers SERVFAIL when none is left', async () => {
    const { ask, asked, dns } = await world({ '10.0.0.53': () => ({ flags: 0x0182 }), '10.0.0.54': () => undefined });
    expect((await ask('a.example'))?.rcode).toBe('SERVFAIL');
    expect(asked).toEqual(['udp 10.0.0.53 a.example', 'udp 10.0.0.54 a.example']);
    await dns.stop();
  });

  it('asks again over TCP when the answer was cut off', async () => {
    const { ask, asked, dns } = await world({ '10.0.0.53': (request) => ({ ...answerA('192.0.2.3')(request), flags: 0x0380 }) });
    expect((await ask('a.example'))?.answers).toEqual(['a.example A 192.0.2.3']);
    expect(asked).toEqual(['udp 10.0.0.53 a.example', 'tcp 10.0.0.53 a.example']);
    await dns.stop();
  });

  it('does not take an answer with another id, question or sender', async () => {
    const { dns, client, network, clock, answers } = await world({ '10.0.0.53': () => undefined });
    const forger = await network.host('10.0.0.66').bind({ address: '10.0.0.66', port: 53 }, () => undefined);
    client.send(encodeRequest('a.example', 'A'), { address: '10.0.0.1', port: 53 });
    await clock.advance(10);
    const { from, bytes } = network.sent
      .filter(({ to, bytes: sent }) => to.address === '10.0.0.53' && !Buffer.from(sent).includes('probe'))
      .at(-1)!;
    const request = decode(Buffer.from(bytes));
    const reply = answerA('6.6.6.6')(request)!;
    const to = { address: '10.0.0.1', port: from.port };
    forger.send(encodeReply(request, reply), to);
    await clock.advance(10_000);
    expect(answers.map(({ rcode }) => rcode)).toEqual(['SERVFAIL']);
    expect(from.port).not.toBe(53);
    await dns.stop();
  });

  it('takes the genuine answer after forged ones that bear the address of the upstream', async () => {
    const { ask, dns } = await world({
      '10.0.0.53': (request) => [
        { ...answerA('6.6.6.6')(request), id: (request.id! + 1) & 0xffff },
        { ...answerA('6.6.6.6')(request), questions: [{ name: 'b.example', type: 'A' }] },
        { ...answerA('6.6.6.6')(request), type: 'query' },
        answerA('192.0.2.9')(request),
      ],
    });
    expect((await ask('a.example'))?.answers).toEqual(['a.example A 192.0.2.9']);
    await dns.stop();
  });

  it('waits for no more upstream answers than allowed', async () => {
    const { dns, client, clock, answers } = await world({ '10.0.0.53': () => undefined }, { maxConcurrentForwards: 3 });
    for (let id = 0; id < 5; id++) client.send(encodeRequest(`n${id}.example`, 'A', { id }), { address: '10.0.0.1', port: 53 });
    await clock.advance(100);
    expect(answers.map(({ packet, rcode }) => `${packet.id} ${rcode}`)).toEqual(['3 SERVFAIL', '4 SERVFAIL']);
    await clock.advance(5_000);
    expect(answers).toHaveLength(5);
    await dns.stop();
  });

  it('stops using an upstream that leads back to itself', async () => {
    const clock = createFakeClock();
    const network = createSimulatedUdp();
    // 10.0.0.53 is a forwarder of the outside world that sends everything to us.
    const pending = new Map<number, { address: string; port: number }>();
    const forwarder = await network.host('10.0.0.53').bind({ address: '10.0.0.53', port: 53 }, (bytes, from) => {
      const id = bytes.readUInt16BE(0);
      const waiting = pending.get(id);
      if (from.address === '10.0.0.1' && from.port === 53 && waiting) return forwarder.send(bytes, waiting);
      pending.set(id, from);
      forwarder.send(bytes, { address: '10.0.0.1', port: 53 });
    });
    const dns = await startDns(
      { listenAddresses: ['10.0.0.1'], forward: ['10.0.0.53'] },
      { cluster: createFakeCluster(), udp: network.host('10.0.0.1'), tcp: createSimulatedNetwork(clock).host('10.0.0.1') },
      { log: silentLogger(), clock, metrics: new Registry(), health: createHealth() },
    );
    await clock.advance(3_000);
    expect(dns.report().upstreams).toEqual([{ server: '10.0.0.53:53', state: 'loop' }]);
    const before = network.sent.length;
    const answers: string[] = [];
    const client = await network
      .host('10.0.0.9')
      .bind({ address: '10.0.0.9', port: 5_000 }, (bytes) => void answers.push(decodeAnswer(bytes).rcode));
    client.send(encodeRequest('a.example', 'A'), { address: '10.0.0.1', port: 53 });
    await clock.advance(3_000);
    expect(answers).toEqual(['SERVFAIL']);
    expect(network.sent.length - before).toBe(2);
    await dns.stop();
  });
});
