import type { Family } from '../net/index.ts';
import { frontendsOf } from './attribution.ts';
import type { ProxyModel } from './model.ts';
import type { ProxyOptions } from './options.ts';

/** What the proxy of a node does, for the control API and `lab status`. */
export interface ProxyReport {
  readonly mode: ProxyOptions['mode'];
  /** Every service port with both families' addresses, by name. */
  readonly services: readonly ServiceReport[];
  /** Milliseconds since the epoch: when the rules of every family were last known to be right; 0 before. */
  readonly lastSync: number;
  readonly families: readonly FamilyReport[];
}

export interface FamilyReport {
  readonly family: Family;
  readonly services: number;
  readonly backends: number;
  /** Rules of ours in the kernel. */
  readonly rules: number;
  /** Milliseconds since the epoch; 0 before the first. */
  readonly lastSync: number;
  /** The last turn that changed the kernel. */
  readonly lastChange: { readonly at: number; readonly milliseconds: number; readonly bytes: number } | undefined;
  /** Why the last turn failed. */
  readonly problem: string | undefined;
  /** What could not be programmed: object, field and reason. */
  readonly unprogrammed: readonly string[];
}

export interface ServiceReport {
  /** `namespace/name:port` */
  readonly name: string;
  readonly protocol: string;
  /** Addresses with port that are answered; a node port as `*:PORT`. */
  readonly frontends: readonly string[];
  readonly backends: readonly string[];
}

/** The service ports of all families' models, merged by name and protocol. */
export function reportServices(models: readonly ProxyModel[]): ServiceReport[] {
  const merged = new Map<string, { name: string; protocol: string; frontends: Set<string>; backends: string[] }>();
  for (const service of models.flatMap(({ services }) => services)) {
    const key = `${service.name} ${service.protocol}`;
    const entry = merged.get(key) ?? { name: service.name, protocol: service.protocol, frontends: new Set(), backends: [] };
    merged.set(key, entry);
    for (const frontend of frontendsOf(service)) entry.frontends.add(frontend);
    entry.backends.push(...service.backends.map(({ text }) => text));
  }
  return [...merged.values()].map((entry) => ({ ...entry, frontends: [...entry.frontends] })).sort((a, b) => (a.name < b.name ? -1 : 1));
}
