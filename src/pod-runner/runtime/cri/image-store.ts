import type { Clock } from '../../../runtime/clock.ts';
import type { ConfigProblem } from '../../machine/types.ts';
import type { Images } from '../runtime.ts';
import type { CriClient } from './client.ts';

export interface ImageStoreParts {
  readonly client: CriClient;
  readonly clock: Clock;
  /** What is known of an image has changed. */
  readonly onChange: (uid: string) => void;
}

export interface ImageStore extends Images {
  /** The image is not as it was said to be: it is looked for again when asked for. */
  forget(image: string): void;
  close(): void;
}

/** Between two tries of a pull (ms): kubelet's image back-off. */
const firstDelay = 10_000;
const longestDelay = 300_000;
/** How long one pull may take (ms). */
const pullTimeout = 600_000;

interface Entry {
  readonly key: string;
  readonly image: string;
  state: 'pending' | 'ready' | ConfigProblem;
  /** Pods that wait for it. */
  readonly waiting: Set<string>;
  failures: number;
  cancel: () => void;
}

/** Keeps what is known of the images of a node's containers; looks for them and pulls them when they are asked for. */
export function createImageStore({ client, clock, onChange }: ImageStoreParts): ImageStore {
  const entries = new Map<string, Entry>();

  async function look(entry: Entry, policy: string): Promise<void> {
    const { image } = entry;
    try {
      entry.state = await get(image, policy);
      entry.failures = 0;
    } catch (error) {
      entry.state = { kind: 'image', message: error instanceof Error ? error.message : String(error) };
      entry.failures++;
    }
    if (entry.state !== 'ready') {
      const delay = Math.min(firstDelay * 2 ** Math.max(0, entry.failures - 1), longestDelay);
      entry.cancel = clock.setTimer(delay, () => {
        // Without a pod that still wants it, it is looked for when one asks.
        if (entry.waiting.size === 0) entries.delete(entry.key);
        else void look(entry, policy);
      });
    }
    const told = [...entry.waiting];
    entry.waiting.clear();
    for (const uid of told) onChange(uid);
  }

  async function get(image: string, policy: string): Promise<'ready' | ConfigProblem> {
    if (policy === 'Always') {
      await client.call('PullImage', { image: { image } }, pullTimeout);
      return 'ready';
    }
    const { image: found } = await client.call('ImageStatus', { image: { image } });
    if (found) return 'ready';
    if (policy === 'Never') return { kind: 'never', message: `Container image "${image}" is not present with pull policy of Never` };
    await client.call('PullImage', { image: { image } }, pullTimeout);
    return 'ready';
  }

  return {
    problem(uid, container, image, policy = usualPolicy(image)) {
      // With Always, each container has its own pull.
      const key = policy === 'Always' ? `${policy} ${image} ${uid}/${container}` : `${policy} ${image}`;
      let entry = entries.get(key);
      if (!entry) {
        entry = { key, image, state: 'pending', waiting: new Set(), failures: 0, cancel: () => undefined };
        entries.set(key, entry);
        void look(entry, policy);
      }
      if (entry.state === 'ready') return undefined;
      entry.waiting.add(uid);
      return entry.state === 'pending' ? { kind: 'pending', message: `the image ${image} is being looked for` } : entry.state;
    },
    forget(image) {
      for (const [key, entry] of entries) {
        if (entry.image !== image || entry.state !== 'ready') continue;
        entries.delete(key);
      }
    },
    close() {
      for (const { cancel } of entries.values()) cancel();
      entries.clear();
    },
  };
}

/** core/v1 Container: `Always` for the tag latest or none, otherwise `IfNotPresent`. */
function usualPolicy(image: string): string {
  const name = image.slice(image.lastIndexOf('/') + 1);
  return name.includes('@') || (name.includes(':') && !name.endsWith(':latest')) ? 'IfNotPresent' : 'Always';
}
