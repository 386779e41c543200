import type { Container } from '../../objects/client.ts';
import { isSupervised, type PodFacts, type ProbeVerdict } from '../machine/types.ts';
import { hasProbes, type Prober, type ProberParts, startProber } from './prober.ts';

export interface PodProbersParts extends Omit<ProberParts, 'address' | 'exec'> {
  readonly exec: (container: string, ...command: Parameters<ProberParts['exec']>) => ReturnType<ProberParts['exec']>;
}

/** The probing of one pod's containers. */
export interface PodProbers {
  /** What was found so far, by container. */
  verdicts(): ReadonlyMap<string, ProbeVerdict>;
  /** Probes those runs that are under way and have probes, at the pod's address; while the pod is being ended no new ones. */
  sync(facts: PodFacts, containers: readonly Container[], address: string | undefined): void;
  stop(): void;
}

export function createPodProbers({ exec, ...parts }: PodProbersParts): PodProbers {
  const probers = new Map<string, Prober>();
  return {
    verdicts: () => new Map([...probers].map(([name, { verdict }]) => [name, verdict])),
    sync({ runs, pod, gone }, containers, address) {
      const supervised = isSupervised(pod);
      const ending = gone || Boolean(pod.metadata.deletionTimestamp);
      for (const container of containers) {
        const { name } = container;
        const run = supervised ? { attempt: 0, phase: 'running' as const } : runs.get(name);
        const prober = probers.get(name);
        const wanted = run?.phase === 'running' && hasProbes(container);
        if (prober && (!wanted || prober.verdict.attempt !== run.attempt)) {
          prober.stop();
          probers.delete(name);
        } else if (ending) prober?.readinessOnly();
        if (!wanted || ending || probers.has(name) || address === undefined) continue;
        const inContainer: ProberParts['exec'] = (command, timeout) => exec(name, command, timeout);
        probers.set(name, startProber(container, run.attempt, { ...parts, address, exec: inContainer }));
      }
    },
    stop() {
      for (const prober of probers.values()) prober.stop();
    },
  };
}
