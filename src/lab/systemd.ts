import { type Component, labComponents } from './components.ts';
import type { LabLayout } from './layout.ts';
import type { Topology } from './topology.ts';

/** A systemd unit: its file name and its text. */
export interface Unit {
  readonly name: string;
  readonly text: string;
}

/**
 * The units of one node that is a machine of its own: the daemons that the lab's supervisor would start, with the same arguments, started and
 * restarted by systemd. Only what belongs to namespaces of one machine is left out. Pure.
 */
export function nodeUnits(topology: Topology, layout: LabLayout, node: string, podwire: string): readonly Unit[] {
  return labComponents(topology, layout)
    .filter((component) => component.node === node)
    .map((component) => ({ name: `podwire-${component.name.slice(node.length + 1)}.service`, text: unit(component, node, podwire) }));
}

function unit({ name, args, inheritsListener, program }: Component, node: string, podwire: string): string {
  const own = inheritsListener ? withoutFlag(args, '--listen-fd') : args;
  return `[Unit]
Description=podwire ${name.slice(node.length + 1)}
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=${[...(program ?? [podwire]), ...own].map(quote).join(' ')}
Restart=always
RestartSec=1
# Pods are children of the pod runner and outlive it: only the daemon itself is ended with the unit.
KillMode=process
LimitNOFILE=1048576

[Install]
WantedBy=multi-user.target
`;
}

function withoutFlag(args: readonly string[], flag: string): string[] {
  const at = args.indexOf(flag);
  return at < 0 ? [...args] : [...args.slice(0, at), ...args.slice(at + 2)];
}

/** systemd.service(5), command lines: double quotes, with backslash, quote, percent and dollar escaped. */
const quote = (word: string): string =>
  /^[\w@:,./=+-]+$/.test(word) ? word : `"${word.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`;
