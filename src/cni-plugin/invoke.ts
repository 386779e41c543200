import { AddressesExhaustedError, checkRoom, familyOf } from '../ipam/index.ts';
import { add } from './add.ts';
import { check } from './check.ts';
import { remove } from './delete.ts';
import { delegateOverall } from './delegation.ts';
import { CniError, cniErrorCodes, toCniError } from './errors.ts';
import { collect } from './gc.ts';
import { serveIpam } from './ipam-plugin.ts';
import { type CniRequest, type Invocation, parseRequest } from './input.ts';
import type { PluginOptions } from './options.ts';
import type { CniPorts } from './ports.ts';
import { renderError, renderVersions } from './render/result.ts';
import { type CniVersion, isSupportedVersion, latestVersion } from './versions.ts';

/** What the program prints on standard output, and its exit code. */
export interface InvocationOutcome {
  readonly stdout: string;
  readonly exitCode: 0 | 1;
}

/** One run of the plugin: request -> plan -> result. Never throws: every failure is an error object. `ports` is opened only when it is needed. */
export async function invoke(invocation: Invocation, ports: () => CniPorts): Promise<InvocationOutcome> {
  try {
    const result = await execute(parseRequest(invocation), ports);
    return { stdout: result ? `${JSON.stringify(result)}\n` : '', exitCode: 0 };
  } catch (error) {
    return { stdout: `${JSON.stringify(renderError(toCniError(error), versionOf(invocation.stdin)))}\n`, exitCode: 1 };
  }
}

async function execute(request: CniRequest, open: () => CniPorts): Promise<object | undefined> {
  if (request.command === 'VERSION') return renderVersions(request.cniVersion);
  const ports = open();
  if (request.command === 'IPAM') return serveIpam(request.request, ports);
  const { options } = request;
  switch (request.command) {
    case 'ADD':
      return add(options, request.attachment, ports);
    case 'CHECK':
      await check(options, request.attachment, request.prevResult, ports);
      return undefined;
    case 'DEL':
      await remove(options, request.attachment, ports.openStore(options.ipam.dataDir, options.name), ports);
      return undefined;
    case 'GC':
      await collect(options, request.valid, ports);
      return undefined;
    case 'STATUS':
      await status(options, ports);
      return undefined;
  }
}

/** STATUS (CNI spec 1.1.0, section 2): could an ADD succeed now? */
async function status(options: PluginOptions, ports: CniPorts): Promise<void> {
  const agentProblem = ports.agentProblem?.();
  if (agentProblem !== undefined) throw new CniError(cniErrorCodes.unavailable, agentProblem, 'pods can be added and deleted, but slower');
  if (options.ipam.delegate) await delegateOverall(options.ipam.delegate, 'STATUS', ports);
  try {
    checkRoom(ports.openStore(options.ipam.dataDir, options.name), options.ipam.ranges);
  } catch (error) {
    if (error instanceof AddressesExhaustedError)
      throw new CniError(cniErrorCodes.unavailable, `network ${options.name}: ${error.message}`);
    throw error;
  }
  for (const family of options.isGateway || options.mode === 'ptp' ? new Set(options.ipam.ranges.map(familyOf)) : []) {
    if (!ports.forwards(family)) throw new CniError(cniErrorCodes.limitedConnectivity, `the node does not forward IPv${family}`);
  }
}

/** The version to answer an error in: the configuration's if it can be told. */
function versionOf(stdin: string): CniVersion {
  const version = /"cniVersion"\s*:\s*"([\d.]+)"/.exec(stdin.slice(0, 1024 * 1024))?.[1];
  return version !== undefined && isSupportedVersion(version) ? version : latestVersion;
}
