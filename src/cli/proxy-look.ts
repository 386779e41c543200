import { networkInterfaces } from 'node:os';
import { stringify } from 'yaml';
import { systemRunner } from '../kernel/command-runner.ts';
import { createKubeClient } from '../kube/http-client.ts';
import { loadKubeconfig } from '../kube/kubeconfig.ts';
import { attributeLines } from '../kube-proxy/attribution.ts';
import { compareModes, differenceLines } from '../kube-proxy/compare-modes.ts';
import { programmersOf } from '../kube-proxy/effects/programmers.ts';
import { explainFlow, explanationLines } from '../kube-proxy/explain.ts';
import {
  compileProxy,
  type Flow,
  type NodeFacts,
  nodeFacts,
  type ProxyInput,
  type ProxyModel,
  type ProxyOptions,
  resolveProxyOptions,
  resolveTraffic,
} from '../kube-proxy/index.ts';
import type { AnyProgrammer } from '../kube-proxy/programmer.ts';
import { type Family, parseAddress, type Protocol, tryParseAddress } from '../net/index.ts';
import { resources } from '../objects/client.ts';
import { createLogger } from '../runtime/log.ts';
import { optionsOf, type ProxyFlags } from './proxy-flags.ts';

interface LookFlags extends ProxyFlags {
  readonly output: 'text' | 'json' | 'yaml';
}

interface ExplainFlags extends LookFlags {
  readonly protocol: Protocol;
  readonly in?: string;
  readonly rendered: boolean;
}

/** `podwire proxy explain`. The process ends with 1 when the rules do not do what the Services say. @throws Error in plain words */
export async function explain(from: string, to: string, flags: ExplainFlags): Promise<void> {
  const look = await readAll(flags);
  const destination = readDestination(to, look.input);
  const family = parseAddress(destination.address).family;
  const ofNode = look.addresses.map((text) => parseAddress(text)).find((address) => address.family === family && address.text !== '::1');
  const source = from === 'node' ? ofNode?.text : tryParseAddress(from)?.text;
  if (source === undefined) throw new Error(`FROM: ${JSON.stringify(from)} is neither an IP address nor "node"`);
  const programmer = look.programmers.find((each) => each.family === family);
  const part = look.parts.get(family);
  if (!programmer || !part) throw new Error(`IPv${family} is not among the families of --ip-families`);
  const fromNode = from === 'node' || look.addresses.includes(source);
  const link = flags.in === undefined || fromNode ? {} : { in: flags.in };
  const flow: Flow = { from: source, to: destination.address, port: destination.port, protocol: flags.protocol, ...link };
  const rules = flags.rendered ? programmer.render(part.model, part.node) : await programmer.read();
  const decision = resolveTraffic(part.model, flow, { node: part.node, options: look.options, addresses: look.addresses });
  const packet = { ...flow, hook: fromNode ? ('output' as const) : ('prerouting' as const), protocol: flow.protocol.toLowerCase() };
  const explained = explainFlow(flow, decision, programmer.walk(rules, packet, { addresses: look.addresses }));
  print(flags, explained, explanationLines(explained));
  if (!explained.agrees) process.exitCode = 1;
}

/** `podwire proxy diff`: the process ends with 1 when the kernel is not as it should be. @throws Error in plain words */
export async function diff(flags: LookFlags): Promise<void> {
  const changes = await pendingChanges(await readAll(flags));
  const lines = changes.flatMap(({ family, services }) =>
    services.map(({ service, lines: own }) => `IPv${family}  ${service || '(shared chains)'}: ${own.length} lines differ`),
  );
  print(flags, changes, lines.length > 0 ? lines : ['The kernel holds what it should.']);
  if (changes.length > 0) process.exitCode = 1;
}

/** `podwire proxy plan`. @throws Error in plain words */
export async function plan(flags: LookFlags): Promise<void> {
  const changes = await pendingChanges(await readAll(flags));
  const lines = changes.flatMap(({ family, bytes, text, services }) => [
    `# IPv${family}: ${bytes} bytes, for ${services.filter(({ service }) => service).length} service ports`,
    ...services.flatMap(({ service, frontends }) => (service ? [`#   ${service}  ${frontends.join(' ')}`] : [])),
    text.trimEnd(),
  ]);
  print(flags, changes, lines.length > 0 ? lines : ['Nothing would be sent.']);
}

/** `podwire proxy compare`. @throws Error in plain words */
export async function compare(flags: LookFlags): Promise<void> {
  const { parts, options, addresses } = await readAll(flags);
  const differences = [...parts.values()].flatMap(({ model, node }) => compareModes(model, node, options, addresses));
  print(flags, differences, differenceLines(differences));
}

interface Look {
  readonly input: ProxyInput;
  readonly options: ProxyOptions;
  readonly parts: ReadonlyMap<Family, { readonly model: ProxyModel; readonly node: NodeFacts }>;
  readonly programmers: readonly AnyProgrammer[];
  /** Of this network namespace. */
  readonly addresses: readonly string[];
}

/** The Services as they are now, and the doors to this node's kernel. */
async function readAll(flags: LookFlags): Promise<Look> {
  if (flags.kubeconfig === undefined) throw new Error('--kubeconfig is needed');
  const options = resolveProxyOptions(optionsOf(flags));
  const client = createKubeClient(loadKubeconfig(flags.kubeconfig), 'podwire-proxy');
  try {
    const [services, slices, nodes] = await Promise.all([
      client.list(resources.services),
      client.list(resources.endpointSlices),
      client.list(resources.nodes, { fieldSelector: `metadata.name=${options.nodeName}` }),
    ]);
    const input = { nodeName: options.nodeName, node: nodes.items[0], services: services.items, endpointSlices: slices.items };
    const programmers = programmersOf(options.mode, options, systemRunner, createLogger({ name: 'podwire-proxy', level: 'warn' }));
    const parts = new Map(
      programmers.map(({ family }) => [
        family,
        { model: compileProxy(input, family), node: nodeFacts(options.nodeName, input.node, family) },
      ]),
    );
    return { input, options, parts, programmers, addresses: ownAddresses() };
  } finally {
    await client.close();
  }
}

const ownAddresses = (): string[] =>
  Object.values(networkInterfaces())
    .flatMap((links) => links ?? [])
    .flatMap(({ address, internal }) => (internal ? [] : [parseAddress(address.replace(/%.*$/, '')).text]));

/** `ADDRESS:PORT`, `[ADDRESS]:PORT` or `SERVICE.NAMESPACE:PORT`. @throws Error naming what is wrong */
function readDestination(text: string, { services }: ProxyInput): { address: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port === 0 || port > 65_535) throw new Error(`TO: ${JSON.stringify(text)} is not ADDRESS:PORT or SERVICE.NAMESPACE:PORT`);
  const host = match[1] ?? match[2]!;
  const address = tryParseAddress(host);
  if (address) return { address: address.text, port };
  const [name, namespace = 'default'] = host.split('.');
  const service = [...services].find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
  const clusterIP = service?.spec.clusterIP;
  if (!service) throw new Error(`TO: there is no Service ${namespace}/${name}`);
  if (!clusterIP || clusterIP === 'None') throw new Error(`TO: Service ${namespace}/${name} has no cluster IP`);
  return { address: clusterIP, port };
}

async function pendingChanges({ programmers, parts }: Look) {
  const models = [...parts.values()].map(({ model }) => model);
  const pending = await Promise.all(
    programmers.map(async (programmer) => {
      const { model, node } = parts.get(programmer.family)!;
      const change = programmer.diff(await programmer.read(), programmer.render(model, node));
      if (change === undefined) return [];
      const text = programmer.print(change);
      return [
        { family: programmer.family, bytes: Buffer.byteLength(text), text, services: attributeLines(programmer.lines(change), models) },
      ];
    }),
  );
  return pending.flat();
}

function print({ output }: LookFlags, value: unknown, lines: readonly string[]): void {
  if (output === 'text') process.stdout.write(`${lines.join('\n')}\n`);
  else process.stdout.write(output === 'json' ? `${JSON.stringify(value, undefined, 2)}\n` : stringify(JSON.parse(JSON.stringify(value))));
}
