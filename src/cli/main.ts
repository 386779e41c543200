import { Command, CommanderError } from 'commander';

/** Every command, and where its file is: only the one asked for is loaded. */
const commands = {
  lab: { summary: 'bring up, look into and take down a cluster network on this machine', load: () => import('./lab.ts') },
  apiserver: { summary: 'run the API server', load: () => import('./apiserver.ts') },
  controllers: { summary: 'run the controllers and the scheduler', load: () => import('./controllers.ts') },
  agent: { summary: 'run the network daemons of one node in one process', load: () => import('./agent.ts') },
  bgp: { summary: 'run the route daemon alone', load: () => import('./bgp.ts') },
  proxy: { summary: 'run the service proxy alone', load: () => import('./proxy.ts') },
  netpol: { summary: 'run the network policy daemon alone', load: () => import('./netpol.ts') },
  dns: { summary: 'run the DNS server alone', load: () => import('./dns.ts') },
  cni: { summary: 'install the CNI plugin, look at its attachments', load: () => import('./cni.ts') },
  pki: { summary: 'make, show, verify and renew certificates and keys', load: () => import('./pki.ts') },
  node: { summary: 'make this machine a node of a cluster of machines', load: () => import('./node.ts') },
  'pod-runner': { summary: 'run the pods bound to one node', load: () => import('./pod-runner.ts') },
} satisfies Record<string, { summary: string; load: () => Promise<{ command(): Command }> }>;

async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('podwire')
    .description('A Kubernetes pod network that you can take apart.')
    .version('0.1.0')
    .showHelpAfterError('(add --help for the options)')
    .enablePositionalOptions();
  const asked = argv.find((word) => !word.startsWith('-'));
  for (const [name, { summary, load }] of Object.entries(commands)) {
    program.addCommand(name === asked ? (await load()).command() : new Command(name).description(summary));
  }
  for (const command of everyCommand(program)) command.exitOverride();
  try {
    await program.parseAsync(argv, { from: 'user' });
    return process.exitCode === undefined ? 0 : Number(process.exitCode);
  } catch (error) {
    // commander has printed its own message: 0 for --help and --version, 2 for wrong usage.
    if (error instanceof CommanderError) return error.exitCode === 0 || error.code === 'commander.help' ? 0 : 2;
    process.stderr.write(`podwire: ${error instanceof Error ? error.message : String(error)}\n`);
    if (process.env['PODWIRE_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return 1;
  }
}

function* everyCommand(command: Command): Generator<Command> {
  yield command;
  for (const child of command.commands) yield* everyCommand(child);
}

process.exitCode = await main(process.argv.slice(2));
