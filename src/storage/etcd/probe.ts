import type { Clock } from '../../runtime/clock.ts';
import type { StoreStats } from '../store.ts';
import type { EtcdConnection } from './connection.ts';
import type { KeySpace } from './keys.ts';
import { methods } from './rpc.ts';

/** Looks from time to time whether etcd serves linearizable reads, and how large it is. */
export interface Probe {
  /** Of the last look. */
  stats(): StoreStats;
  problem(): string | undefined;
  stop(): void;
}

const interval = 5_000;
const recoveryInterval = 1_000;
const patience = 2_000;

export function startProbe(connection: EtcdConnection, keys: KeySpace, clock: Clock, onProblem: (error: unknown) => void): Probe {
  let stats: StoreStats = { bytes: 0, bytesInUse: 0, keys: 0 };
  let problem: string | undefined;
  let stopped = false;
  let cancel = (): void => {};
  const look = async (): Promise<void> => {
    try {
      const options = { repeatable: true, timeout: patience };
      const [{ dbSize, dbSizeInUse, errors }, { count }] = await Promise.all([
        connection.call(methods().status, {}, options),
        connection.call(methods().range, { ...keys.range('/registry/'), count_only: true }, options),
      ]);
      stats = { bytes: dbSize, bytesInUse: dbSizeInUse, keys: count };
      // Such as "memberID:1 alarm:NOSPACE": reads go on, writes do not.
      problem = errors.length > 0 ? `etcd: ${errors.join(', ')}` : undefined;
    } catch (error) {
      if (stopped) return;
      if (problem === undefined) onProblem(error);
      problem = (error as Error).message;
    }
    if (!stopped) cancel = clock.setTimer(problem === undefined ? interval : recoveryInterval, () => void look());
  };
  void look();
  return {
    stats: () => stats,
    problem: () => problem,
    stop() {
      stopped = true;
      cancel();
    },
  };
}
