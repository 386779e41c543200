import { readFileSync } from 'node:fs';
import { isatty } from 'node:tty';
import { stringify } from 'yaml';
import { explainPorts } from '../cni-plugin/effects/explain-ports.ts';
import { explain, type Explanation, explanationLines } from '../cni-plugin/explain.ts';
import { requestConfig } from '../cni-plugin/explain-request.ts';
import { systemRunner } from '../kernel/command-runner.ts';

interface ExplainFlags {
  readonly conf?: string;
  readonly containerId?: string;
  readonly netns?: string;
  readonly ifname?: string;
  readonly args?: string;
  readonly path?: string;
  readonly runtimeConfig?: string;
  readonly address: string[];
  readonly output: 'text' | 'json' | 'yaml';
}

/** `podwire cni explain`. The process ends with 0 when the request would succeed, else with 1. */
export async function explainRequest(command: 'ADD' | 'DEL' | undefined, flags: ExplainFlags): Promise<void> {
  const { conf, containerId, netns, ifname, args, path, runtimeConfig, address, output } = flags;
  if (conf === undefined && isatty(0)) throw new Error('no configuration: give --conf, or write one to standard input');
  const given = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerId,
    CNI_NETNS: netns,
    CNI_IFNAME: ifname,
    CNI_ARGS: args,
    CNI_PATH: path,
  };
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const environment = { CNI_IFNAME: 'eth0', ...process.env, ...defined };
  const stdin = requestConfig(readFileSync(conf ?? 0, 'utf8'), runtimeConfig);
  const explanation = await explain({ environment, stdin }, (explained) =>
    explainPorts({ runner: systemRunner, delegatedAddresses: address }, explained),
  );
  print(output, explanation);
  process.exitCode = explanation.exitCode;
}

function print(output: ExplainFlags['output'], explanation: Explanation): void {
  if (output === 'json') process.stdout.write(`${JSON.stringify(explanation, null, 2)}\n`);
  else
    process.stdout.write(
      output === 'yaml' ? stringify(JSON.parse(JSON.stringify(explanation))) : `${explanationLines(explanation).join('\n')}\n`,
    );
}
