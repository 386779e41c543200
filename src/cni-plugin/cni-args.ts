import { CniError, cniErrorCodes } from './errors.ts';

/** CNI_ARGS by key. */
export type CniArgs = ReadonlyMap<string, string>;

const knownArgs = ['IgnoreUnknown', 'IP', 'MAC', 'K8S_POD_NAMESPACE', 'K8S_POD_NAME', 'K8S_POD_INFRA_CONTAINER_ID', 'K8S_POD_UID'];

/**
 * CNI_ARGS (`KEY=VALUE;KEY=VALUE`). An unknown key is an error unless IgnoreUnknown is true, as in libcni.
 * @throws CniError 4
 */
export function parseCniArgs(args: string): CniArgs {
  const pairs = args.split(';').filter((pair) => pair !== '');
  const values = new Map(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw badVariable('CNI_ARGS', args, `holds ${JSON.stringify(pair)}, which is not KEY=VALUE`);
      return [pair.slice(0, at), pair.slice(at + 1)] as const;
    }),
  );
  const ignoreUnknown = /^(1|t|true)$/i.test(values.get('IgnoreUnknown') ?? '');
  const unknown = [...values.keys()].filter((key) => !knownArgs.includes(key));
  if (unknown.length > 0 && !ignoreUnknown)
    throw badVariable('CNI_ARGS', args, `holds ${unknown.join(', ')}, which this plugin does not know; IgnoreUnknown=true lets it pass`);
  return values;
}

/** `namespace/name` of the pod; undefined when the runtime did not tell. @throws CniError 4 */
export function podOfArgs(args: CniArgs): string | undefined {
  const [namespace, name] = [args.get('K8S_POD_NAMESPACE'), args.get('K8S_POD_NAME')];
  if (!namespace || !name) return undefined;
  const pod = `${namespace}/${name}`;
  if (!/^[\w.-]+\/[\w.-]+$/.test(pod)) throw badVariable('CNI_ARGS', pod, 'holds a pod name that is none');
  return pod;
}

export const badVariable = (name: string, value: string, reason: string): CniError =>
  new CniError(cniErrorCodes.invalidEnvironment, `${name}=${value.slice(0, 120)} ${reason}`);
