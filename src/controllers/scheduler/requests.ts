import type { Container, Node, Pod } from '../../objects/client.ts';

/** What a pod asks of a node, or a node has: thousandths of a CPU, bytes, and pods. */
export interface Amounts {
  readonly cpu: number;
  readonly memory: number;
  readonly pods: number;
}

export const noAmounts: Amounts = { cpu: 0, memory: 0, pods: 0 };

export const addAmounts = (a: Amounts, b: Amounts): Amounts => ({ cpu: a.cpu + b.cpu, memory: a.memory + b.memory, pods: a.pods + b.pods });

const suffixes: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** Reads a resource.Quantity, such as `100m`, `1.5Gi` or `2e3`, as a plain number. Undefined when it is none. */
export function parseQuantity(text: string | number): number | undefined {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$/.exec(String(text));
  if (!match) return undefined;
  return Number(match[1] + (match[2] ?? '')) * (suffixes[match[3] ?? ''] ?? 1);
}

interface WithResources extends Container {
  readonly resources?: { readonly requests?: Readonly<Record<string, string>>; readonly limits?: Readonly<Record<string, string>> };
}

const known = new WeakMap<Pod, Amounts>();

/** The sum of its containers' requests, or what the greediest init container asks if that is more. A limit stands in for a missing request. */
export function requestsOf(pod: Pod): Amounts {
  const before = known.get(pod);
  if (before) return before;
  const most = (name: 'cpu' | 'memory'): number => {
    const total = pod.spec.containers.reduce((sum, container) => sum + requestOf(container, name), 0);
    return (pod.spec.initContainers ?? []).reduce((greatest, container) => Math.max(greatest, requestOf(container, name)), total);
  };
  const requests = { cpu: Math.ceil(most('cpu') * 1_000), memory: Math.ceil(most('memory')), pods: 1 };
  known.set(pod, requests);
  return requests;
}

const requestOf = ({ resources }: WithResources, name: string): number =>
  parseQuantity(resources?.requests?.[name] ?? resources?.limits?.[name] ?? '0') ?? 0;

/** What the node can give to pods in all; what it does not say is without limit. */
export function allocatableOf({ status }: Node): Amounts {
  const amounts = status?.allocatable ?? status?.capacity ?? {};
  const read = (name: string): number =>
    (amounts[name] === undefined ? undefined : parseQuantity(amounts[name])) ?? Number.POSITIVE_INFINITY;
  return { cpu: read('cpu') * 1_000, memory: read('memory'), pods: read('pods') };
}
