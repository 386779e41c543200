/** One named check: undefined when well, else the reason in a few words. */
export type HealthCheck = () => string | undefined;

/** The checks of one daemon. `live` checks fail only when a restart would help; `ready` checks tell whether it can serve now. */
export interface Health {
  addLive(name: string, check: HealthCheck): void;
  addReady(name: string, check: HealthCheck): void;
  live(): HealthReport;
  ready(): HealthReport;
}

export interface HealthReport {
  readonly ok: boolean;
  readonly checks: readonly { readonly name: string; readonly problem?: string }[];
}

export function createHealth(): Health {
  const live = new Map<string, HealthCheck>();
  const ready = new Map<string, HealthCheck>();
  return {
    addLive: (name, check) => void live.set(name, check),
    addReady: (name, check) => void ready.set(name, check),
    live: () => report(live),
    ready: () => report(new Map([...live, ...ready])),
  };
}

function report(checks: ReadonlyMap<string, HealthCheck>): HealthReport {
  const results = [...checks].map(([name, check]) => {
    const problem = check();
    return problem === undefined ? { name } : { name, problem };
  });
  return { ok: results.every((result) => result.problem === undefined), checks: results };
}

/** The text that Kubernetes' own daemons answer: `[+]name ok` / `[-]name failed: reason`. */
export function renderHealth({ ok, checks }: HealthReport, endpoint: string): string {
  const lines = checks.map(({ name, problem }) => (problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem}`));
  return [...lines, ok ? `${endpoint} check passed` : `${endpoint} check failed`, ''].join('\n');
}
