import { CniError, cniErrorCodes } from './errors.ts';
import type { Invocation } from './input.ts';
import { invoke } from './invoke.ts';
import type { CniPorts } from './ports.ts';

/** One thing that a request would do, as it would be given to the program that does it. */
export interface ExplainedStep {
  /** `node`, `state` (files of the address manager), or the path of the pod's network namespace. */
  readonly where: string;
  /** The program with its arguments, or what is done to the state. */
  readonly command: string;
  /** Lines for its standard input. */
  readonly input: readonly string[];
}

/** What a request would do, and what it would be answered. */
export interface Explanation {
  readonly command: string;
  /** In order. */
  readonly steps: readonly ExplainedStep[];
  /** What does not hold on this machine and was taken to. */
  readonly assumptions: readonly string[];
  /** The object on standard output; undefined when there is none. */
  readonly answer: unknown;
  readonly exitCode: 0 | 1;
}

/** Gathers what is explained. */
export interface Explained {
  readonly steps: ExplainedStep[];
  readonly assumptions: string[];
}

/**
 * Runs a request over ports that change nothing, and tells what they were asked to do. @throws CniError 4 for a command other than ADD and DEL
 * @param open ports that record into what they are given
 */
export async function explain(invocation: Invocation, open: (explained: Explained) => CniPorts): Promise<Explanation> {
  const command = invocation.environment['CNI_COMMAND'] ?? '';
  if (command !== 'ADD' && command !== 'DEL')
    throw new CniError(
      cniErrorCodes.invalidEnvironment,
      `CNI_COMMAND=${command}: ADD and DEL can be explained; the other commands change nothing`,
    );
  const explained: Explained = { steps: [], assumptions: [] };
  const { stdout, exitCode } = await invoke(invocation, () => open(explained));
  return { command, ...explained, answer: stdout === '' ? undefined : JSON.parse(stdout), exitCode };
}

/** For people: each command after a `$`, what is written to it below it. */
export function explanationLines({ steps, assumptions, answer, exitCode, command }: Explanation): string[] {
  const lines = assumptions.map((text) => `# assumed: ${text}`);
  let before: string | undefined;
  for (const { where, command: program, input } of steps) {
    if (where !== before) lines.push(`# ${where === 'node' ? 'in the node' : where === 'state' ? 'in the state folder' : `in ${where}`}`);
    before = where;
    lines.push(where === 'state' ? program : `$ ${program}`, ...input.map((line) => `    ${line}`));
  }
  lines.push(`# ${command} would ${exitCode === 0 ? 'succeed' : 'fail'}${answer === undefined ? '' : ' with'}`);
  return answer === undefined ? lines : [...lines, ...JSON.stringify(answer, null, 2).split('\n')];
}
