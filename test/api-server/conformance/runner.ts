import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { splitCommandLine } from './command-line.ts';
import type { Finished, Kubectl, RunningKubectl } from './kubectl.ts';
import type { Applies, CommandStep, Expectation, FetchStep, Scenario, SeeStep, Step } from './scenario.ts';

/** Longest time for an `eventually` and a `see` (ms). */
const patience = 20_000;

export interface Versions {
  /** Minor version of kubectl. */
  readonly kubectl: number;
  /** Minor version of the API server. */
  readonly server: number;
  /** Whether the server is this project's. */
  readonly own: boolean;
}

const applies = ({ since = 0, until = 999, server = 0, own }: Applies, versions: Versions): boolean =>
  since <= versions.kubectl && versions.kubectl <= until && server <= versions.server && (versions.own || !own);

/** Runs the steps of a scenario one after the other. @throws Error naming the command, what was expected and what came. */
export async function runScenario(scenario: Scenario, kubectl: Kubectl, folder: string, namespace: string, versions: Versions) {
  const named = (text: string): string => text.replaceAll('@ns', namespace);
  const running = new Map<string, { line: string; process: RunningKubectl }>();
  const started = (name: string): { line: string; process: RunningKubectl } => {
    const found = running.get(name);
    if (!found) throw new Error(`scenario fault: nothing was started as ${name}`);
    return found;
  };
  for (const [name, content] of Object.entries(scenario.files ?? {})) writeFileSync(join(folder, name), named(toText(content)));

  const execute = async (step: Step): Promise<void> => {
    if ('run' in step) return runCommand(step, kubectl, named);
    if ('start' in step) {
      const line = named(step.start);
      const process = kubectl(splitCommandLine(line), step.env ? { env: step.env } : {});
      return void running.set(step.as, { line, process });
    }
    if ('see' in step) return see(step, started(step.see).process, named);
    if ('fetch' in step) return fetchThrough(step, started(step.through).process, named);
    const { line, process } = started(step.end);
    if (step.stop) process.stop();
    running.delete(step.end);
    const { exit = step.stop ? 'fails' : 0 } = step;
    const problem = compare({ ...step, exit }, await process.finished, named);
    if (problem) throw new Error(`kubectl ${line}\n${problem}`);
  };

  try {
    for (const step of scenario.steps) if (applies(step, versions)) await execute(step);
  } finally {
    for (const { process } of running.values()) {
      process.stop();
      await process.finished;
    }
  }
}

const toText = (content: string | object): string =>
  typeof content === 'string'
    ? content
    : JSON.stringify(Array.isArray(content) ? { apiVersion: 'v1', kind: 'List', items: content } : content);

async function runCommand(step: CommandStep, kubectl: Kubectl, named: (text: string) => string): Promise<void> {
  const line = named(step.run);
  const options = { ...(step.env ? { env: step.env } : {}), ...(step.stdin ? { stdin: named(toText(step.stdin)) } : {}) };
  const deadline = performance.now() + (step.eventually ? patience : 0);
  for (let pause = 50; ; pause = Math.min(pause * 1.5, 500)) {
    const problem = compare(step, await kubectl(splitCommandLine(line), options).finished, named);
    if (!problem) return;
    if (performance.now() > deadline) throw new Error(`kubectl ${line}\n${problem}`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

async function see({ stdout }: SeeStep, { output }: RunningKubectl, named: (text: string) => string): Promise<void> {
  const pattern = withNamespace(stdout, named);
  const deadline = performance.now() + patience;
  while (!pattern.test(output.stdout)) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${pattern} in:\n${output.stdout}${output.stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function fetchThrough({ fetch: path, body }: FetchStep, { output }: RunningKubectl, named: (text: string) => string): Promise<void> {
  const address = /^Starting to serve on (\S+)/.exec(output.stdout)?.[1];
  if (!address) throw new Error(`the proxy told no address: ${output.stdout}${output.stderr}`);
  const text = await (await fetch(`http://${address}${named(path)}`)).text();
  if (!body.test(text)) throw new Error(`GET ${path} through the proxy: expected ${body}, got ${text}`);
}

const withNamespace = (pattern: RegExp, named: (text: string) => string): RegExp => new RegExp(named(pattern.source), pattern.flags);

/** What is not as the step expects; undefined when all is. */
function compare(
  { exit = 0, stdout, stderr }: Pick<CommandStep, 'exit' | 'stdout' | 'stderr'>,
  got: Finished,
  named: (text: string) => string,
): string | undefined {
  const problems: string[] = [];
  if (exit === 'fails' ? got.code === 0 : got.code !== exit) problems.push(`expected exit code ${exit}, got ${got.code}`);
  const look = (stream: 'stdout' | 'stderr', expected: Expectation | undefined): void => {
    if (expected === undefined) return;
    if (typeof expected === 'string') {
      if (got[stream] !== named(expected)) problems.push(`expected ${stream} ${JSON.stringify(named(expected))}`);
      return;
    }
    for (const pattern of [expected].flat())
      if (!withNamespace(pattern, named).test(got[stream])) problems.push(`expected ${stream} ${withNamespace(pattern, named)}`);
  };
  look('stdout', stdout);
  look('stderr', stderr);
  if (problems.length === 0) return undefined;
  return `${problems.join('\n')}\ngot exit code ${got.code}\n--- stdout\n${shorten(got.stdout)}--- stderr\n${shorten(got.stderr)}---`;
}

const shorten = (text: string): string => (text.length > 3_000 ? `${text.slice(0, 3_000)}\n... (${text.length} characters)\n` : text);
