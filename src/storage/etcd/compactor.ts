import type { Clock } from '../../runtime/clock.ts';
import type { EtcdConnection } from './connection.ts';
import { isCompacted } from './errors.ts';
import { compactionKey, type KeySpace } from './keys.ts';
import { compareTarget, methods } from './rpc.ts';

/** From opening the store to the first turn (ms). */
const settlingTime = 10_000;

/**
 * Drops history that is older than one interval, once per interval however many servers there are: each tries to write the common key on the
 * condition that nobody wrote it since it looked last, and who succeeds compacts, up to the revision of one interval ago. So history is kept for
 * one to two intervals (kube-apiserver's --etcd-compaction-interval works alike).
 */
export function startCompactor(
  connection: EtcdConnection,
  keys: KeySpace,
  interval: number,
  clock: Clock,
  onProblem: (error: unknown) => void,
): { stop(): void } {
  let stopped = false;
  let cancel = (): void => {};
  let version = 0;
  let revision = 0;
  const turn = async (): Promise<void> => {
    try {
      ({ version, revision } = await compactOnce(connection, keys, version, revision));
    } catch (error) {
      if (!stopped) onProblem(error);
    }
    schedule(interval);
  };
  const schedule = (delay: number): void => {
    if (!stopped) cancel = clock.setTimer(delay, () => void turn());
  };
  // Not at once: a server that was given somebody else's etcd has seen so and ended by then, and has written nothing there.
  schedule(Math.min(interval, settlingTime));
  return {
    stop() {
      stopped = true;
      cancel();
    },
  };
}

/**
 * Compacts up to `revision` if the common key still has this version. Returns its version now, and etcd's revision, to which the next turn may
 * compact.
 */
async function compactOnce(
  connection: EtcdConnection,
  keys: KeySpace,
  version: number,
  revision: number,
): Promise<{ version: number; revision: number }> {
  const key = keys.encode(compactionKey);
  const { header, succeeded, responses } = await connection.call(
    methods().txn,
    {
      compare: [{ key, target: compareTarget.version, version }],
      success: [{ request_put: { key, value: Buffer.from(JSON.stringify({ compactedRevision: revision })) } }],
      failure: [{ request_range: { key } }],
    },
    { repeatable: false },
  );
  if (!succeeded) return { version: responses[0]?.response_range?.kvs[0]?.version ?? 0, revision: header.revision };
  // On the first turn there is nothing known to be old.
  if (revision > 0) await compactTo(connection, revision);
  return { version: version + 1, revision: header.revision };
}

/** Drops the history up to the revision; nothing when it is dropped already. */
export async function compactTo(connection: EtcdConnection, revision: number): Promise<void> {
  await connection
    .call(methods().compact, { revision, physical: false }, { repeatable: true, keep: isCompacted })
    .catch((error: unknown) => {
      if (!isCompacted(error)) throw error;
    });
}
