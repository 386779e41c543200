import { Command, Option } from 'commander';
import { configureProxy } from './proxy-flags.ts';

/** `podwire proxy explain|diff|plan|compare`: what looks into the proxy of a node and changes nothing. Each is loaded when it runs. */
export function lookCommands(): Command[] {
  return [explain(), diff(), plan(), compare()];
}

function command(name: string, description: string): Command {
  const made = new Command(name).description(description);
  configureProxy(made);
  return made.addOption(new Option('-o, --output <format>', 'how the answer is printed').choices(['text', 'json', 'yaml']).default('text'));
}

const explain = (): Command =>
  command('explain', 'what becomes of a packet on this node: service, endpoints with their odds, and each rule it meets')
    .argument('<from>', 'source address, or "node" for a process of this node')
    .argument('<to>', 'ADDRESS:PORT, [ADDRESS]:PORT or SERVICE.NAMESPACE:PORT')
    .addOption(new Option('--protocol <protocol>', 'transport protocol').choices(['TCP', 'UDP', 'SCTP']).default('TCP'))
    .option('--in <link>', 'link by which the packet comes in')
    .option('--rendered', "walk through the rules that are meant to be instead of the kernel's", false)
    .action(async (from: string, to: string, flags) => (await import('./proxy-look.ts')).explain(from, to, flags));

const diff = (): Command =>
  command('diff', 'what the kernel holds against what it should hold, by Service; 0 when they are the same, else 1').action(async (flags) =>
    (await import('./proxy-look.ts')).diff(flags),
  );

const plan = (): Command =>
  command('plan', 'a dry run of the next sync: the bytes that would be sent, and whose traffic they concern').action(async (flags) =>
    (await import('./proxy-look.ts')).plan(flags),
  );

const compare = (): Command =>
  command('compare', 'what the same Services do otherwise in another mode').action(async (flags) =>
    (await import('./proxy-look.ts')).compare(flags),
  );
