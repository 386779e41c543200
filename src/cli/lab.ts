import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { LabError } from '../lab/errors.ts';
import { defaultStateDir, type LabLayout, labLayout } from '../lab/layout.ts';
import { labDefaults } from '../lab/options.ts';
import type { Step, StepListener } from '../lab/steps.ts';
import type { Topology } from '../lab/topology.ts';
import { listenPort } from './flags.ts';
import { outputOption, type OutputFormat, paint } from './output.ts';

interface LabOptions {
  readonly name: string;
  readonly stateDir: string;
}

/** `podwire lab`: each subcommand loads what it needs when it runs, for most need little. */
export function command(): Command {
  const lab = new Command('lab').description('bring up, look into and take down a cluster network on this machine');
  const sub = (name: string, description: string): Command =>
    lab
      .command(name)
      .description(description)
      .option('--name <name>', 'which lab', parseName, labDefaults.name)
      .addOption(
        new Option('--state-dir <dir>', 'where labs keep their state')
          .env('PODWIRE_STATE_DIR')
          .default(defaultStateDir)
          .argParser((dir: string) => resolve(dir)),
      );

  sub('up', 'bring the lab up, or say that it is up')
    .option('-f, --file <file>', 'lab file (YAML): nodes, CIDRs, timers')
    .option('--api-port <port>', `loopback port for kubectl; 0 takes a free one (default: ${labDefaults.apiServer.port})`, listenPort)
    .option('--demo', 'create a deployment and a service, and ask it from a pod')
    .addOption(new Option('-o, --output <format>', 'json: the steps with their times, and what the demo saw').choices(['json']))
    .action(up);
  sub('down', 'end all processes of the lab and remove its namespaces and state, also after a crash').action(down);
  sub('status', 'what runs where: nodes, daemons, BGP peers, routes, services, policies, DNS').addOption(outputOption()).action(status);
  sub('env', 'print the export line for KUBECONFIG').action(env);
  sub('exec', 'run a command in the network namespace of a node')
    .argument('<node>', 'name of the node, as in kubectl get nodes')
    .argument('<command...>', 'what to run, after --')
    .action(exec);
  sub('pod-exec', 'run a command in a pod')
    .option('-n, --namespace <namespace>', 'namespace of the pod', 'default')
    .option('-c, --container <container>', 'container of the pod (default: the first)')
    .argument('<pod>', 'name of the pod')
    .argument('<command...>', 'what to run, after --')
    .action(podExec);
  sub('link', 'take the underlay link of a node down, or up again: what a pulled cable does')
    .argument('<node>', 'name of the node, as in kubectl get nodes')
    .addArgument(lab.createArgument('<state>', 'up or down').choices(['up', 'down']))
    .action(link);
  lab.command('supervise', { hidden: true }).argument('<root>').action(supervise);
  return lab;
}

function parseName(text: string): string {
  if (!/^[a-z]([a-z0-9-]*[a-z0-9])?$/.test(text) || text.length > 20) {
    throw new InvalidArgumentError('Expected at most 20 lower-case letters, digits and dashes, starting with a letter.');
  }
  return text;
}

/** The flags that name this lab again, as they have to be typed; empty for the usual one. */
const whichLab = ({ name, stateDir }: LabOptions): string =>
  `${name === labDefaults.name ? '' : ` --name ${name}`}${stateDir === defaultStateDir ? '' : ` --state-dir ${stateDir}`}`;

const layoutOf = ({ stateDir, name }: LabOptions): LabLayout => labLayout(stateDir, name);

async function standing(options: LabOptions): Promise<{ topology: Topology; layout: LabLayout }> {
  const { readTopology } = await import('../lab/records.ts');
  const layout = layoutOf(options);
  const topology = readTopology(layout);
  if (!topology) throw new LabError(`lab ${options.name} is not up; bring it up with: podwire lab up${whichLab(options)}`);
  return { topology, layout };
}

async function up(
  options: LabOptions & { file?: string; apiPort?: number; demo?: boolean; output?: 'json' },
  subcommand: Command,
): Promise<void> {
  const [{ readLabFile }, { resolveTopology }, { bringUp }, { takeDown }, { createSteps }, { systemRunner }, { systemClock }] =
    await Promise.all([
      import('../lab/lab-file.ts'),
      import('../lab/topology.ts'),
      import('../lab/up.ts'),
      import('../lab/down.ts'),
      import('../lab/steps.ts'),
      import('../kernel/command-runner.ts'),
      import('../runtime/clock.ts'),
    ]);
  const read = options.file === undefined ? resolveTopology({}) : readLabFile(options.file);
  const named = subcommand.getOptionValueSource('name') === 'default' ? read : { ...read, name: options.name };
  const topology = options.apiPort === undefined ? named : { ...named, apiServerPort: options.apiPort };
  const layout = labLayout(options.stateDir, topology.name);
  const context = { runner: systemRunner, clock: systemClock, steps: createSteps(stepPrinter()) };
  process.once('SIGINT', () => {
    process.stderr.write('\ninterrupted: taking down what was made\n');
    void takeDown(layout, context).finally(() => process.exit(130));
  });
  const start = performance.now();
  const outcome = await bringUp(topology, layout, context);
  if (outcome === 'already-up') process.stderr.write(`lab ${topology.name} is up already\n`);
  const demo = options.demo ? await (await import('../lab/demo.ts')).runDemo(topology, layout, context) : undefined;
  if (options.output === 'json') {
    const steps = context.steps.done.map(({ title, duration }) => ({ title, seconds: duration / 1000 }));
    process.stdout.write(
      `${JSON.stringify({ lab: topology.name, outcome, seconds: (performance.now() - start) / 1000, steps, demo }, null, 2)}\n`,
    );
    return;
  }
  const { nextSteps, renderDemo } = await import('./lab-text.ts');
  if (demo) process.stdout.write(renderDemo(demo));
  process.stderr.write(paint('dim', `${((performance.now() - start) / 1000).toFixed(2)} s in all\n\n`, process.stderr));
  await status({ ...options, name: topology.name, output: 'table' });
  process.stdout.write(nextSteps(topology, layout, whichLab({ ...options, name: topology.name }), options.demo === true));
}

async function down(options: LabOptions): Promise<void> {
  const [{ takeDown }, { systemRunner }, { systemClock }, { checkRoot }] = await Promise.all([
    import('../lab/down.ts'),
    import('../kernel/command-runner.ts'),
    import('../runtime/clock.ts'),
    import('../lab/preflight.ts'),
  ]);
  checkRoot();
  const removed = await takeDown(layoutOf(options), { runner: systemRunner, clock: systemClock });
  const text =
    removed.namespaces + removed.processes === 0
      ? `lab ${options.name} was not up`
      : `lab ${options.name} is down: ${removed.processes} processes ended, ${removed.namespaces} namespaces removed`;
  process.stdout.write(`${text}\n`);
}

async function status(options: LabOptions & { output: OutputFormat }): Promise<void> {
  const { topology, layout } = await standing(options);
  const [{ collectStatus }, { renderStatus }] = await Promise.all([import('../lab/status.ts'), import('./lab-text.ts')]);
  process.stdout.write(renderStatus(await collectStatus(topology, layout), options.output));
}

async function env(options: LabOptions): Promise<void> {
  const { layout } = await standing(options);
  process.stdout.write(`export KUBECONFIG=${layout.adminKubeconfig}\n`);
}

async function exec(node: string, words: string[], options: LabOptions): Promise<void> {
  const { topology, layout } = await standing(options);
  const { namespace } = layout.node(nodeNamed(topology, node));
  await become(['nsenter', `--net=/run/netns/${namespace}`, '--', ...words]);
}

async function podExec(pod: string, words: string[], options: LabOptions & { namespace: string; container?: string }): Promise<void> {
  const { topology, layout } = await standing(options);
  const { findPods } = await import('../lab/pods.ts');
  const containers = findPods(topology, layout).filter(({ namespace, name }) => namespace === options.namespace && name === pod);
  const found = options.container === undefined ? containers[0] : containers.find(({ container }) => container === options.container);
  if (!found) {
    const which = options.container === undefined || containers.length === 0 ? '' : `container ${options.container} of `;
    const hint = topology.nodes.some(({ containerd }) => containerd) ? ', and kubectl exec enters those of nodes with runtime: cri' : '';
    throw new LabError(
      `${which}pod ${options.namespace}/${pod} is not running in lab ${options.name}; kubectl get pods -n ${options.namespace} shows the pods${hint}`,
    );
  }
  await become(found.command(words));
}

async function link(node: string, state: 'up' | 'down', options: LabOptions): Promise<void> {
  const { topology, layout } = await standing(options);
  const [{ setUnderlayLink }, { systemRunner }] = await Promise.all([import('../lab/faults.ts'), import('../kernel/command-runner.ts')]);
  await setUnderlayLink(topology, layout, nodeNamed(topology, node), state, systemRunner);
  process.stdout.write(`underlay link of ${node} is ${state}\n`);
}

async function supervise(root: string): Promise<void> {
  const { runSupervisor } = await import('../lab/supervise.ts');
  await runSupervisor(root);
}

function nodeNamed(topology: Topology, name: string): string {
  if (topology.nodes.some((node) => node.name === name)) return name;
  throw new LabError(
    `lab ${topology.name} has no node ${JSON.stringify(name)}; its nodes are ${topology.nodes.map((node) => node.name).join(', ')}`,
  );
}

/** Runs a command with our own standard streams and ends with its exit code. */
async function become([program, ...args]: readonly string[]): Promise<void> {
  const { spawn } = await import('node:child_process');
  const child = spawn(program!, args, { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise<number>((done, failed) => {
    child.once('error', failed);
    child.once('close', (code, signal) => done(code ?? (signal ? 128 : 1)));
  });
}

/** A line per finished step with its time; on a terminal also the running one. */
function stepPrinter(): StepListener {
  const { stderr } = process;
  const live = stderr.isTTY ?? false;
  const clear = live ? '\r\u001b[K' : '';
  return {
    started: (title) => void (live && stderr.write(`${clear}  ${title} ...`)),
    finished: ({ title, duration }: Step) =>
      void stderr.write(`${clear}${paint('green', '✓', stderr)} ${title.padEnd(62)} ${(duration / 1000).toFixed(2).padStart(6)} s\n`),
    failed: (title) => void stderr.write(`${clear}${paint('red', '✗', stderr)} ${title}\n`),
  };
}
