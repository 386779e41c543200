import type { Probe } from '../../objects/client.ts';

/** What one probing has found. `message` as kubelet words it. */
export interface ProbeOutcome {
  readonly ok: boolean;
  readonly message: string;
}

/** A probe's run of equal outcomes, and the verdict that has come of it. */
export interface ProbeState {
  readonly verdict: 'unknown' | 'success' | 'failure';
  readonly streak: number;
  readonly ok: boolean | undefined;
}

export const initialProbeState: ProbeState = { verdict: 'unknown', streak: 0, ok: undefined };

/** The verdict turns after successThreshold successes or failureThreshold failures in a row (core/v1 Probe). */
export function stepProbe(state: ProbeState, ok: boolean, { successThreshold = 1, failureThreshold = 3 }: Probe): ProbeState {
  const streak = state.ok === ok ? state.streak + 1 : 1;
  const turns = streak >= (ok ? successThreshold : failureThreshold);
  return { ok, streak, verdict: turns ? (ok ? 'success' : 'failure') : state.verdict };
}

/** The probe's times in milliseconds, with the API's defaults. */
export const probeTimes = ({
  initialDelaySeconds = 0,
  periodSeconds = 10,
  timeoutSeconds = 1,
}: Probe): { delay: number; period: number; timeout: number } => ({
  delay: initialDelaySeconds * 1_000,
  period: Math.max(1, periodSeconds) * 1_000,
  timeout: Math.max(1, timeoutSeconds) * 1_000,
});
