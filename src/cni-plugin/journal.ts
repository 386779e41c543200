import { type JournalEntry, type Tenure, tenuresOf } from '../ipam/index.ts';
import { prefixContains, tryParseAddress, tryParsePrefix } from '../net/index.ts';

/** One line of `podwire cni journal`. Times are RFC 3339. */
export interface JournalReport {
  readonly address: string;
  /** `namespace/name`, or the container id when the runtime told no pod. */
  readonly pod: string;
  readonly interface: string;
  readonly from?: string;
  readonly until?: string;
  readonly end: Tenure['end'];
  readonly containerId: string;
}

export interface JournalQuestion {
  /** An address, a CIDR, `namespace/name` or `name` of a pod, or the beginning of a container id. All without it. */
  readonly about?: string | undefined;
  /** Only who had it at this time (ms since the epoch). */
  readonly at?: number | undefined;
  /** Only what lasted after this time (ms since the epoch). */
  readonly since?: number | undefined;
}

/** Who had which address when, as far as the question goes; by the beginning. @param boot mark of the running boot */
export const journalReports = (entries: readonly JournalEntry[], boot: string, { about, at, since }: JournalQuestion): JournalReport[] =>
  tenuresOf(entries, boot)
    .filter((tenure) => (about === undefined || isAbout(tenure, about)) && (at === undefined || lastedAt(tenure, at)))
    .filter(({ until }) => since === undefined || until === undefined || until >= since)
    .map(({ address, pod, containerId, ifname, from, until, end }) => ({
      address: address.text,
      pod: pod ?? containerId,
      interface: ifname,
      ...(from === undefined ? {} : { from: new Date(from).toISOString() }),
      ...(until === undefined ? {} : { until: new Date(until).toISOString() }),
      end,
      containerId,
    }));

const lastedAt = ({ from = 0, until = Number.POSITIVE_INFINITY }: Tenure, at: number): boolean => from <= at && at < until;

function isAbout({ address, pod, containerId }: Tenure, about: string): boolean {
  const asked = tryParseAddress(about);
  if (asked) return asked.text === address.text;
  const prefix = tryParsePrefix(about);
  if (prefix) return prefixContains(prefix, address);
  return pod === about || pod?.slice(pod.indexOf('/') + 1) === about || containerId.startsWith(about);
}
