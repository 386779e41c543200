import { ipvsSchedulers } from '../dataplane/ipvs.ts';
import type { Backend, ServicePortModel } from './model.ts';

/** kube-router's annotations for its IPVS service proxy. */
const keys = {
  scheduler: 'kube-router.io/service.scheduler',
  flags: 'kube-router.io/service.schedflags',
  directReturn: 'kube-router.io/service.dsr',
} as const;

/** Flags of schedulers by kube-router's numbered names, and by their own. */
const flagNames: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  sh: { 'flag-1': 'sh-fallback', 'flag-2': 'sh-port', 'sh-fallback': 'sh-fallback', 'sh-port': 'sh-port' },
  mh: { 'flag-1': 'mh-fallback', 'flag-2': 'mh-port', 'mh-fallback': 'mh-fallback', 'mh-port': 'mh-port' },
};

/**
 * What a Service asks of IPVS by its annotations; what makes no sense is left out and told to `problem`. `dsr: tunnel` is kube-router's direct
 * server return, `dsr: droute` the same for endpoints in the node's own Ethernet; each pod has to hold the external address itself.
 */
export function ipvsWishes(
  annotations: Readonly<Record<string, string>> | undefined,
  port: number,
  backends: readonly Backend[],
  external: boolean,
  problem: (field: string, reason: string) => void,
): Pick<ServicePortModel, 'scheduler' | 'schedulerFlags' | 'directReturn'> {
  if (!annotations) return {};
  const refuse = (key: string, reason: string): undefined => void problem(`metadata.annotations[${key}]`, reason);
  const known = (name: string): string | undefined =>
    (ipvsSchedulers as readonly string[]).includes(name)
      ? name
      : refuse(keys.scheduler, `${JSON.stringify(name)} is not a scheduler of IPVS`);
  const wanted = annotations[keys.scheduler];
  const scheduler = wanted === undefined ? undefined : known(wanted);
  const flags = annotations[keys.flags]?.split(',').flatMap((text) => {
    const flag = flagNames[scheduler ?? '']?.[text.trim()];
    return flag ?? refuse(keys.flags, `${JSON.stringify(text)} is not a flag of the scheduler ${scheduler ?? 'of this service'}`) ?? [];
  });
  const directReturn = external ? readDirectReturn(annotations[keys.directReturn], port, backends, refuse) : undefined;
  return {
    ...(scheduler === undefined ? {} : { scheduler }),
    ...(flags === undefined ? {} : { schedulerFlags: flags.sort() }),
    ...(directReturn === undefined ? {} : { directReturn }),
  };
}

function readDirectReturn(
  text: string | undefined,
  port: number,
  backends: readonly Backend[],
  refuse: (key: string, reason: string) => undefined,
): ServicePortModel['directReturn'] {
  if (text === undefined) return undefined;
  if (text !== 'tunnel' && text !== 'droute') return refuse(keys.directReturn, `${JSON.stringify(text)} is neither tunnel nor droute`);
  const other = backends.find((backend) => backend.port !== port);
  if (other)
    return refuse(keys.directReturn, `direct server return cannot change the port: the service has ${port}, its endpoint ${other.text}`);
  return text;
}
