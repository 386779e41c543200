import type { LinkOperation } from '../../dataplane/links.ts';
import type { CommandOptions, CommandRunner } from '../../kernel/command-runner.ts';
import { operationLines } from '../../kernel/netlink/operation-lines.ts';
import type { ExplainedStep, Explained } from '../explain.ts';
import { explainedLinks } from '../explain-links.ts';
import { overlayStore } from '../explain-store.ts';
import type { CniPorts } from '../ports.ts';
import { systemPorts } from './system-ports.ts';

export interface ExplainOptions {
  readonly runner: CommandRunner;
  /** What another IPAM plugin is taken to answer: addresses with the length of their prefix. */
  readonly delegatedAddresses: readonly string[];
}

/** Ports that read this machine and change nothing; what they are asked to do they record. */
export function explainPorts({ runner, delegatedAddresses }: ExplainOptions, { steps, assumptions }: Explained): CniPorts {
  const real = systemPorts(runner);
  const recorded = systemPorts(recordingRunner(runner, (step) => steps.push(step)));
  const state = (text: string): void => void steps.push({ where: 'state', command: text, input: [] });
  const exists = (netns: string): boolean => real.namespaceIdentity(netns) !== undefined;
  const recordLinks =
    (where: string) =>
    (operations: readonly LinkOperation[]): void => {
      const input = operations.flatMap(operationLines);
      if (input.length > 0) steps.push({ where, command: 'ip -force -batch -', input });
    };
  return {
    ...recorded,
    host: explainedLinks(real.host, recordLinks('node')),
    pod: (netns) => explainedLinks(exists(netns) ? real.pod(netns) : undefined, recordLinks(netns)),
    openStore: (dataDir, name) => overlayStore(real.openStore(dataDir, name), state),
    openHostPorts: (dataDir) => overlayStore(real.openHostPorts(dataDir), state),
    namespaceIdentity(path) {
      const found = real.namespaceIdentity(path);
      if (found) return found;
      if (!assumptions.some((text) => text.includes(path))) assumptions.push(`${path} is an empty network namespace`);
      return { inode: 0, isNamespace: true };
    },
    readRouteLocalnet: (link) => real.readRouteLocalnet(link) ?? false,
    allowRouteLocalnet: (link) =>
      void steps.push({ where: 'node', command: `sysctl -w net.ipv4.conf.${link}.route_localnet=1`, input: [] }),
    runPlugin(path, _stdin, environment) {
      const command = environment['CNI_COMMAND'] ?? '';
      steps.push({ where: 'node', command: `CNI_COMMAND=${command} ${path}`, input: [] });
      if (command !== 'ADD') return Promise.resolve({ exitCode: 0, stdout: '', stderr: '' });
      if (delegatedAddresses.length === 0)
        return Promise.reject(new Error(`${path} would give the addresses, and is not asked; tell which (--address)`));
      const ips = delegatedAddresses.map((address) => ({ address }));
      assumptions.push(`${path} gives ${delegatedAddresses.join(', ')}`);
      return Promise.resolve({ exitCode: 0, stdout: JSON.stringify({ cniVersion: '1.0.0', ips }), stderr: '' });
    },
    reportDamage: ({ what, outcome }) => state(`${what}: ${outcome}`),
    // What may still come is not waited for.
    sleep: () => Promise.resolve(),
  };
}

/** Runs what only reads, and records everything else as done. */
const recordingRunner = (runner: CommandRunner, record: (step: ExplainedStep) => void): CommandRunner => ({
  run(command, args, options: CommandOptions = {}) {
    const { where, words } = placeOf([command, ...args]);
    if (isReading(words)) return runner.run(command, args, options);
    const lines = (options.input ?? '').split('\n').filter((line) => line !== '');
    record({ where, command: words.join(' '), input: lines });
    return Promise.resolve({ stdout: '', stderr: '', exitCode: 0 });
  },
});

/** Takes the way into a namespace off. */
function placeOf(words: readonly string[]): { where: string; words: readonly string[] } {
  const netns = words[0] === 'nsenter' ? /^--net=(.+)$/.exec(words[1] ?? '')?.[1] : undefined;
  return netns === undefined ? { where: 'node', words } : { where: netns, words: words.slice(words.indexOf('--') + 1) };
}

/** Which uses of the programs only read. */
const isReading = ([program, ...args]: readonly string[]): boolean =>
  (program === 'nft' && args.includes('list')) ||
  (program === 'tc' && args.includes('show')) ||
  (program === 'conntrack' && args[0] === '-L');
