import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { writeSecretFile } from '../kube/pki/secret-file.ts';
import { apiServerUrl, makeCredentials } from '../lab/credentials.ts';
import { LabError } from '../lab/errors.ts';
import { defaultStateDir, labLayout } from '../lab/layout.ts';
import { readLabFile } from '../lab/lab-file.ts';
import { writeManifests } from '../lab/node-files.ts';
import { writeTopology } from '../lab/records.ts';
import { nodeUnits } from '../lab/systemd.ts';

const unitFolder = '/etc/systemd/system';

/** `podwire node`: the nodes of a lab file as machines of their own (virtual or real) instead of namespaces. */
export function command(): Command {
  const node = new Command('node').description('make this machine a node of a cluster of machines');
  const sub = (name: string, description: string): Command =>
    node.command(name).description(description).requiredOption('-f, --file <file>', 'lab file (YAML) of the cluster');
  sub('credentials', 'make certificates and kubeconfigs for every node of a lab file, in one folder per node')
    .requiredOption('--out <dir>', 'where the folders go; existing files are replaced')
    .action(credentials);
  sub('install', "write this node's state and systemd units; systemctl start starts them")
    .requiredOption('--node <name>', 'which node of the lab file this machine is')
    .requiredOption('--credentials <dir>', "this node's folder, as 'podwire node credentials' made it")
    .addOption(new Option('--state-dir <dir>', 'where the node keeps its state').default(defaultStateDir))
    .option('--podwire <file>', 'the podwire command that the units start', '/usr/local/bin/podwire')
    .action(install);
  return node;
}

async function credentials({ file, out }: { file: string; out: string }): Promise<void> {
  const topology = readLabFile(file);
  const layout = labLayout('/', topology.name);
  for (const made of await makeCredentials(topology, layout, apiServerUrl(topology), Date.now())) {
    await writeSecretFile(join(resolve(out), made.node, relative(layout.root, made.file)), made.text);
  }
  process.stdout.write(`${topology.nodes.map(({ name }) => join(resolve(out), name)).join('\n')}\n`);
}

async function install(options: { file: string; node: string; credentials: string; stateDir: string; podwire: string }): Promise<void> {
  const topology = readLabFile(options.file);
  if (!topology.nodes.some(({ name }) => name === options.node)) {
    throw new LabError(
      `${options.file} has no node ${JSON.stringify(options.node)}; its nodes are ${topology.nodes.map(({ name }) => name).join(', ')}`,
    );
  }
  if (topology.nodes.some(({ name, containerd }) => name === options.node && containerd))
    throw new LabError(
      `${options.file}: node ${options.node} has runtime: cri, which is for nodes of podwire lab up; a machine runs netns`,
    );
  const layout = labLayout(resolve(options.stateDir), topology.name);
  mkdirSync(layout.root, { recursive: true, mode: 0o700 });
  cpSync(options.credentials, layout.root, { recursive: true });
  writeTopology(layout, topology);
  await writeManifests(topology, layout, options.node);
  const units = nodeUnits(topology, layout, options.node, options.podwire);
  for (const { name, text } of units) writeFileSync(join(unitFolder, name), text);
  process.stdout.write(`${units.map(({ name }) => name).join('\n')}\n`);
}
