import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../../runtime/log.ts';
import type { Damage } from '../damage.ts';
import type { QueuedDelete } from '../ports.ts';
import { parseServiceRequest, type ServiceRequest } from '../service.ts';

/** Milliseconds; whoever writes a file of the queue has finished long before. */
const settled = 1_000;

/** Bytes: the longest configuration and its environment. */
const maxRequestBytes = 2 * 1024 * 1024;

/** The DELs that nobody could do while no agent ran, one file each, as launcher.sh writes them. */
export interface DeleteQueue {
  /** Tries all of them; those done, and those that nobody will ever understand, are gone after it. Never rejects. */
  work(): Promise<void>;
}

export interface DeleteQueueParts {
  readonly folder: string;
  readonly log: Logger;
  now(): number;
  /** Does the request: `done`, `refused` for good, or `failed` and to be tried again. */
  remove(request: ServiceRequest): Promise<'done' | 'refused' | 'failed'>;
  reportDamage(damage: Damage): void;
}

export function openDeleteQueue({ folder, log, now, remove, reportDamage }: DeleteQueueParts): DeleteQueue {
  let working = false;

  async function workOn(name: string): Promise<void> {
    const path = join(folder, name);
    const request = readRequest(path);
    if (!request) {
      if (now() - statSync(path).mtimeMs < settled) return;
      const text = statSync(path).isFile() ? readFileSync(path, 'utf8').slice(0, maxRequestBytes) : '';
      reportDamage({ dataDir: join(folder, '..'), what: `queued DEL ${name}`, outcome: 'nothing is done for it', text });
      return rmSync(path, { recursive: true, force: true });
    }
    // An ADD has done it meanwhile: by now the attachment has another life. Nothing comes between this look and the announcement of the release.
    if (!existsSync(path)) return;
    const outcome = await remove(request);
    if (outcome !== 'failed') rmSync(path, { force: true });
    const details = { request: request.invocation.environment['CNI_CONTAINERID'], file: path };
    if (outcome === 'done') log.info(details, 'did a DEL that had been queued');
    else if (outcome === 'failed') log.warn(details, 'a queued DEL failed; it is tried again');
    else log.warn({ ...details, configuration: request.invocation.stdin.slice(0, 2_000) }, 'dropped a queued DEL that never can be done');
  }

  return {
    async work() {
      if (working) return;
      working = true;
      try {
        for (const name of readdirSync(folder).sort()) {
          await workOn(name).catch((error: unknown) => {
            // One that cannot be read does not stop the others.
            if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
              log.warn({ err: error, file: join(folder, name) }, 'a queued DEL cannot be done');
          });
        }
      } catch (error) {
        log.warn({ err: error, folder }, 'the queue of DELs cannot be read');
      } finally {
        working = false;
      }
    },
  };
}

/** What is queued, for whoever is about to do something with one of these attachments. */
export const queuedDeletesIn = (folder: string): { list(network: string): readonly QueuedDelete[] } => ({
  list: (network) =>
    namesIn(folder).flatMap((name) => {
      const path = join(folder, name);
      const request = readRequest(path);
      const { CNI_CONTAINERID: containerId, CNI_IFNAME: ifname } = request?.invocation.environment ?? {};
      if (!request || !containerId || !ifname || networkOf(request) !== network) return [];
      return [{ owner: { containerId, ifname }, forget: () => rmSync(path, { force: true }) }];
    }),
});

/** None where there is no agent. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function networkOf({ invocation }: ServiceRequest): unknown {
  try {
    return (JSON.parse(invocation.stdin) as { name?: unknown } | null)?.name;
  } catch {
    return undefined;
  }
}

/** Undefined for what is no request, or is not there. */
function readRequest(path: string): ServiceRequest | undefined {
  try {
    return statSync(path).size > maxRequestBytes ? undefined : parseServiceRequest(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}
