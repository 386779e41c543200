import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../../runtime/log.ts';
import { parseServiceRequest, type ServiceRequest } from '../service.ts';

/** Milliseconds; whoever writes a file of the queue has finished long before. */
const settled = 1_000;

/** The DELs that nobody could do while no agent ran, one file each, as launcher.sh writes them. */
export interface DeleteQueue {
  /** Tries all of them; those done, and those that nobody will ever understand, are gone after it. Never rejects. */
  work(): Promise<void>;
}

/** @param remove does the request: `done`, `refused` for good, or `failed` and to be tried again */
export function openDeleteQueue(
  folder: string,
  log: Logger,
  now: () => number,
  remove: (request: ServiceRequest) => Promise<'done' | 'refused' | 'failed'>,
): DeleteQueue {
  let working = false;
  return {
    async work() {
      if (working) return;
      working = true;
      try {
        for (const name of readdirSync(folder).sort()) {
          const path = join(folder, name);
          const request = parseServiceRequest(readFileSync(path, 'utf8'));
          if (!request && now() - statSync(path).mtimeMs < settled) continue;
          const outcome = request ? await remove(request) : 'refused';
          if (outcome !== 'failed') rmSync(path, { force: true });
          const details = { request: request?.invocation.environment['CNI_CONTAINERID'], file: path };
          if (outcome === 'done') log.info(details, 'did a DEL that had been queued');
          else log.warn(details, outcome === 'refused' ? 'dropped a queued DEL that is none' : 'a queued DEL failed; it is tried again');
        }
      } catch (error) {
        log.warn({ err: error, folder }, 'the queue of DELs cannot be read');
      } finally {
        working = false;
      }
    },
  };
}
