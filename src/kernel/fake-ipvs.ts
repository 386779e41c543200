import { applyIpSets, IpSetRefusal } from '../dataplane/ipset-apply.ts';
import type { IpSet, IpSets, IpSetType } from '../dataplane/ipset.ts';
import { type IpSetOperation, printIpSetSave } from '../dataplane/ipset-diff.ts';
import { isKnownRule } from '../dataplane/iptables.ts';
import { applyIpvs, IpvsRefusal } from '../dataplane/ipvs-apply.ts';
import type { VirtualServer, VirtualServers } from '../dataplane/ipvs.ts';
import type { IpvsOperation } from '../dataplane/ipvs-diff.ts';
import { parseIpvsSave } from '../dataplane/ipvs-parse.ts';
import { printIpvsSave } from '../dataplane/ipvs-print.ts';
import { CommandError, type CommandOptions, type CommandResult, type CommandRunner } from './command-runner.ts';
import { createFakeIptables, type FakeIptables } from './fake-iptables.ts';

/** A kernel with iptables, ipset, IPVS and links, behind the commands one drives it with. */
export interface FakeIpvs extends CommandRunner {
  readonly iptables: FakeIptables;
  sets: IpSets;
  servers: VirtualServers;
  /** Addresses by link. */
  readonly links: Map<string, Set<string>>;
  readonly sysctls: Map<string, string>;
  timeouts: readonly number[];
  /** Connections of each real server, by `tcp 10.96.0.1:80 10.244.1.2:8080`. */
  readonly connections: Map<string, number>;
  /** Every command that changed something, with its input, oldest first. */
  readonly changes: { readonly command: string; readonly input: string }[];
  /** Modules that this kernel lacks. */
  readonly absent: Set<'ip_vs' | 'ip_set' | 'dummy'>;
}

/** Refuses what the kernel and the tools refuse, in their words (ipvsadm 1.31, ipset 7.17, iproute2 6.1). */
export function createFakeIpvs(links: Readonly<Record<string, readonly string[]>> = { lo: ['127.0.0.1', '::1'] }): FakeIpvs {
  const iptables = createFakeIptables();
  const fake: FakeIpvs = {
    iptables,
    sets: new Map(),
    servers: new Map(),
    links: new Map(Object.entries(links).map(([name, addresses]) => [name, new Set(addresses)])),
    sysctls: new Map(),
    timeouts: [900, 120, 300],
    connections: new Map(),
    changes: [],
    absent: new Set(),
    async run(command, args, options = {}) {
      const answer = await answers[command.replace(/^ip6?tables.*/, 'iptables')]?.(fake, command, args, options);
      if (!answer) throw new CommandError('not-installed', [command, ...args], undefined, '');
      const { exitCode, stderr } = answer;
      if (exitCode !== 0 && !options.acceptExitCodes?.includes(exitCode))
        throw new CommandError('failed', [command, ...args], exitCode, stderr);
      return answer;
    },
  };
  return fake;
}

type Answer = (fake: FakeIpvs, command: string, args: readonly string[], options: CommandOptions) => CommandResult | Promise<CommandResult>;

const ok = (stdout = ''): CommandResult => ({ stdout, stderr: '', exitCode: 0 });
const failed = (stderr: string, exitCode = 1): CommandResult => ({ stdout: '', stderr, exitCode });

const answers: Readonly<Record<string, Answer>> = {
  iptables(fake, command, args, options) {
    const unknown = [...(options.input ?? '').matchAll(/--match-set (\S+)/g)].find(([, name]) => !fake.sets.has(name!));
    if (unknown && !/(^|\n)-D/.test(options.input ?? '')) return failed(`Set ${unknown[1]} doesn't exist.`);
    if (command.endsWith('restore')) fake.changes.push({ command, input: options.input ?? '' });
    return fake.iptables.run(command, args, options);
  },
  ipset(fake, command, [verb], { input = '' }) {
    if (fake.absent.has('ip_set')) return failed('ipset v7.17: Cannot open session to kernel.');
    if (verb === 'save') return ok(printIpSetSave(fake.sets));
    fake.changes.push({ command, input });
    const operations = linesOf(input).map(readSetOperation);
    const used = (name: string): boolean => usesSet(fake, name);
    for (const [index, operation] of operations.entries()) {
      try {
        fake.sets = applyIpSets(fake.sets, [operation], used);
      } catch (error) {
        if (!(error instanceof IpSetRefusal)) throw error;
        return failed(`ipset v7.17: Error in line ${index + 1}: ${error.message}`);
      }
    }
    return ok();
  },
  ipvsadm(fake, command, args, { input = '' }) {
    if (fake.absent.has('ip_vs'))
      return failed(
        "Can't initialize ipvs: Protocol not available\nAre you sure that IP Virtual Server is built in the kernel or as module?",
        2,
      );
    const words = args.join(' ');
    if (words === '-S -n') return ok(printIpvsSave(fake.servers));
    if (words === '-L -n') return ok(printListing(fake));
    if (words === '-L --timeout') return ok(`Timeout (tcp tcpfin udp): ${fake.timeouts.join(' ')}\n`);
    if (args[0] === '--set') {
      fake.timeouts = fake.timeouts.map((was, index) => Number(args[index + 1]) || was);
      return ok();
    }
    fake.changes.push({ command, input });
    const complaints: string[] = [];
    for (const line of linesOf(input)) {
      try {
        fake.servers = applyIpvs(fake.servers, [readServerOperation(line)]);
      } catch (error) {
        if (!(error instanceof IpvsRefusal)) throw error;
        complaints.push(error.message);
      }
    }
    return { stdout: '', stderr: complaints.map((text) => `${text}\n`).join(''), exitCode: 0 };
  },
  ip(fake, command, args, { input = '' }) {
    if (args[2] === 'flush') {
      fake.changes.push({ command, input: args.join(' ') });
      const link = fake.links.get(args[4]!);
      for (const address of link ?? []) if (address.includes(':') === (args[0] === '-6')) link!.delete(address);
      return ok();
    }
    if (!args.includes('-batch'))
      return ok(
        JSON.stringify(
          [...fake.links].map(([ifname, addresses]) => ({
            ifname,
            addr_info: [...addresses].map((local) => ({ local, family: local.includes(':') ? 'inet6' : 'inet' })),
          })),
        ),
      );
    fake.changes.push({ command, input });
    const complaints = linesOf(input).flatMap((line, index) => {
      const complaint = doLinkLine(fake, line);
      return complaint === undefined ? [] : [`${complaint}\nCommand failed -:${index + 1}`];
    });
    return complaints.length === 0 ? ok() : failed(`${complaints.join('\n')}\n`);
  },
  sh(fake, command, args) {
    const pairs = args.slice(3);
    for (let at = 0; at + 1 < pairs.length; at += 2) fake.sysctls.set(pairs[at]!, pairs[at + 1]!);
    fake.changes.push({ command, input: pairs.join(' ') });
    return ok();
  },
  grep: (fake, _command, args) =>
    ok(
      args
        .slice(2)
        .map((path) => path.slice('/proc/sys/'.length))
        .flatMap((path) => (fake.sysctls.has(path) ? [`/proc/sys/${path}:${fake.sysctls.get(path)}\n`] : []))
        .join(''),
    ),
};

const linesOf = (input: string): string[] => input.split('\n').filter((line) => line !== '');

const usesSet = ({ iptables }: FakeIpvs, name: string): boolean =>
  ([4, 6] as const).some((family) =>
    [...iptables.rules(family).tables.values()].some((chains) =>
      [...chains.values()].some(({ rules }) =>
        rules.some((rule) => isKnownRule(rule) && rule.matches.some((match) => match.match === 'set' && match.set === name)),
      ),
    ),
  );

function readSetOperation(line: string): IpSetOperation {
  const [verb, set = '', what = '', ...options] = line.split(' ');
  if (verb === 'create') {
    const type = what as IpSetType;
    const family: IpSet['family'] = type === 'bitmap:port' ? undefined : options.includes('inet6') ? 6 : 4;
    return { op: 'create', set, of: { type, family } };
  }
  return verb === 'destroy' ? { op: 'destroy', set } : { op: verb as 'add' | 'del', set, element: what };
}

function readServerOperation(line: string): IpvsOperation {
  const [verb, protocol, service, ...rest] = line.split(' ');
  const head = `-A ${protocol} ${service}`;
  const [server] = parseIpvsSave(
    `${head} ${verb === '-A' || verb === '-E' ? rest.join(' ') : '-s rr'}\n`,
  ).values() as Iterator<VirtualServer> & Iterable<VirtualServer>;
  if (verb === '-A') return { op: 'add-server', server: server! };
  if (verb === '-E') return { op: 'edit-server', server: server! };
  if (verb === '-D') return { op: 'delete-server', server: server! };
  const [known] = parseIpvsSave(`${head} -s rr\n-a ${protocol} ${service} ${rest.join(' ')}\n`).values();
  const [real] = known!.reals.values();
  return { op: verb === '-a' ? 'add-real' : verb === '-e' ? 'edit-real' : 'delete-real', server: server!, real: real! };
}

function printListing({ servers, connections }: FakeIpvs): string {
  const lines = [
    'IP Virtual Server version 1.2.1 (size=4096)',
    'Prot LocalAddress:Port Scheduler Flags',
    '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn',
  ];
  const methods = { masq: 'Masq', droute: 'Route', tunnel: 'Tunnel' };
  for (const [key, server] of servers) {
    const [protocol = '', service = ''] = key.split(' ');
    lines.push(`${protocol.toUpperCase().padEnd(4)} ${service} ${server.scheduler}`);
    for (const [realKey, { method, weight }] of server.reals)
      lines.push(
        `  -> ${realKey.padEnd(28)} ${methods[method].padEnd(7)} ${weight}      ${connections.get(`${key} ${realKey}`) ?? 0}          0         `,
      );
  }
  return `${lines.join('\n')}\n`;
}

/** Undefined when it was done. */
function doLinkLine({ links, absent }: FakeIpvs, line: string): string | undefined {
  const words = line.split(' ');
  const link = links.get(words.at(words.indexOf('dev') + 1) ?? '');
  const address = words[2]?.replace(/\/\d+$/, '') ?? '';
  switch (words.slice(0, 2).join(' ')) {
    case 'link add':
      if (absent.has('dummy')) return 'Error: Unknown device type.';
      if (links.has(words[2]!)) return 'RTNETLINK answers: File exists';
      links.set(words[2]!, new Set());
      return undefined;
    case 'link delete':
      return links.delete(words[2]!) ? undefined : `Cannot find device "${words[2]}"`;
    case 'address add':
      if (!link) return 'Cannot find device';
      if (link.has(address)) return 'RTNETLINK answers: File exists';
      link.add(address);
      return undefined;
    default:
      return link?.delete(address) ? undefined : 'RTNETLINK answers: Cannot assign requested address';
  }
}
