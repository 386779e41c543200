import { destinations, origins } from '../../kube-proxy/scenario-objects.ts';
import type { PeerAnswer } from './peer-process.ts';
import type { World } from './world.ts';

/** Connections lost of a storm, while nothing changes and while endpoints come and go. */
export interface StormResult {
  readonly idle: { readonly lost: number; readonly of: number };
  readonly toggled: { readonly lost: number; readonly of: number; readonly toggles: number; readonly first: string };
}

const atOnce = 2_000;

/** Sends storms of connections through the cluster IP: first at rest, then with an endpoint removed and added, until there were enough of both. */
export async function runStorm({ set, bed }: World, connections: number, toggles: number): Promise<StormResult> {
  const where = { host: destinations.clusterIP[0], port: 80, from: origins.pod[0], width: 32, timeout: 10_000 };
  const storm = (count: number): Promise<PeerAnswer> => bed.ask('pod', { op: 'storm', count, ...where });
  const all = { endpoints: [0, 1, 3, 4] };
  const fewer = { endpoints: [0, 1, 3] };
  await set(all);
  const rest = connections / 4;
  const [idle] = await storm(rest);

  let done = 0;
  let of = 0;
  let lost = 0;
  let first = '';
  const toggling = async (): Promise<void> => {
    while (done < toggles) await set(done++ % 2 === 0 ? fewer : all);
  };
  const storming = async (): Promise<void> => {
    for (; of < connections || done < toggles; of += atOnce) {
      const [failed, why = ''] = await storm(atOnce);
      lost += Number(failed);
      first ||= why;
    }
  };
  await Promise.all([toggling(), storming()]);
  return { idle: { lost: Number(idle), of: rest }, toggled: { lost, of, toggles: done, first } };
}
