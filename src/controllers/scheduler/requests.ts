import type { Container, Node, Pod } from '../../objects/client.ts';
import { quantityNanos } from '../../objects/quantity.ts';

/** What a pod asks of a node, or a node has: thousandths of a CPU, bytes, pods, and whatever else nodes may offer, by name. */
export interface Amounts {
  readonly cpu: number;
  readonly memory: number;
  readonly pods: number;
  /** ephemeral-storage, hugepages and extended resources. */
  readonly other: Readonly<Record<string, number>>;
}

export const noAmounts: Amounts = { cpu: 0, memory: 0, pods: 0, other: {} };

export const addAmounts = (a: Amounts, b: Amounts): Amounts => ({
  cpu: a.cpu + b.cpu,
  memory: a.memory + b.memory,
  pods: a.pods + b.pods,
  other: combine(a.other, b.other, (x, y) => x + y),
});

function combine(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
  merge: (x: number, y: number) => number,
): Readonly<Record<string, number>> {
  const [x, y] = [Object.keys(a), Object.keys(b)];
  if (x.length === 0) return b;
  if (y.length === 0) return a;
  return Object.fromEntries([...new Set([...x, ...y])].map((name) => [name, merge(a[name] ?? 0, b[name] ?? 0)]));
}

/** Reads a resource.Quantity, such as `100m`, `1.5Gi` or `2e3`, as a plain number. Undefined when it is none. */
export function parseQuantity(text: string | number): number | undefined {
  const nanos = quantityNanos(text);
  return nanos === undefined ? undefined : Number(nanos) / 1e9;
}

interface WithResources extends Container {
  readonly resources?: { readonly requests?: Readonly<Record<string, string>>; readonly limits?: Readonly<Record<string, string>> };
}

const known = new WeakMap<Pod, Amounts>();

/**
 * What its containers request together, or what is needed while an init container runs if that is more; sidecars started before count to both
 * (KEP-753). A limit stands in for a missing request. The pod's overhead comes on top.
 */
export function requestsOf(pod: Pod): Amounts {
  const before = known.get(pod);
  if (before) return before;
  const add = (a: Raw, b: Raw): Raw => combine(a, b, (x, y) => x + y);
  let sidecars: Raw = {};
  let peak: Raw = {};
  for (const container of pod.spec.initContainers ?? []) {
    const asked = rawRequests(container);
    if (container.restartPolicy === 'Always') sidecars = add(sidecars, asked);
    peak = combine(peak, container.restartPolicy === 'Always' ? sidecars : add(sidecars, asked), Math.max);
  }
  const running = pod.spec.containers.map(rawRequests).reduce(add, sidecars);
  const total = add(combine(running, peak, Math.max), readAll(pod.spec.overhead ?? {}));
  const { cpu = 0, memory = 0, ...other } = total;
  const requests = { cpu: Math.ceil(cpu * 1_000), memory: Math.ceil(memory), pods: 1, other };
  known.set(pod, requests);
  return requests;
}

type Raw = Readonly<Record<string, number>>;

const readAll = (quantities: Readonly<Record<string, string>>): Raw =>
  Object.fromEntries(Object.entries(quantities).map(([name, text]) => [name, parseQuantity(text) ?? 0]));

const rawRequests = ({ resources }: WithResources): Raw => readAll({ ...resources?.limits, ...resources?.requests });

/** What counts for a pod that requests nothing, when nodes are compared: otherwise such pods would all crowd on one node. */
export const nonZeroRequests = (pod: Pod): { cpu: number; memory: number } => {
  const { cpu, memory } = requestsOf(pod);
  return { cpu: cpu || 100, memory: memory || 200 * 2 ** 20 };
};

/** What the node can give to pods in all. CPU, memory and pods that it does not tell of are without limit; of anything else it has none then. */
export function allocatableOf({ status }: Node): Amounts {
  const amounts = status?.allocatable ?? status?.capacity ?? {};
  const { cpu, memory, pods, ...other } = amounts;
  const read = (text: string | undefined): number => (text === undefined ? undefined : parseQuantity(text)) ?? Number.POSITIVE_INFINITY;
  return { cpu: read(cpu) * 1_000, memory: read(memory), pods: read(pods), other: readAll(other) };
}
