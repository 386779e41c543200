import { type FlowGroup, groupFlows, type TrackedFlow } from '../dataplane/flows.ts';
import type { Family } from '../net/index.ts';
import type { DaemonContext } from '../runtime/daemon.ts';
import type { SyncLoopParts } from '../runtime/sync-loop.ts';
import { createAuditor } from './auditor.ts';
import { createProxyCompiler } from './compile.ts';
import { nodeFacts, type ProxyInput } from './input.ts';
import type { ProxyMetrics } from './metrics.ts';
import type { ProxyModel } from './model.ts';
import type { ProxyOptions } from './options.ts';
import type { AnyProgrammer } from './programmer.ts';
import type { FamilyReport } from './report.ts';
import { mayHaveStaleFlows, staleFlows } from './stale-flows.ts';

/** What the loop of one family reaches the world through. */
export interface FamilyLoopDependencies {
  readonly programmer: AnyProgrammer;
  readonly flows: UdpFlows;
  readonly options: ProxyOptions;
  readonly context: DaemonContext;
  readonly metrics: ProxyMetrics;
  snapshot(): ProxyInput | undefined;
  /** `isPartial`: the kernel had not been read for it. */
  onRestoreFailed(error: unknown, isPartial: boolean): void;
  /** After a turn without error. */
  onSynced(): void;
}

/** Connection tracking's UDP flows. */
export interface UdpFlows {
  /** Undefined when this machine cannot tell. */
  list(family: Family): Promise<readonly TrackedFlow[] | undefined>;
  delete(family: Family, groups: readonly FlowGroup[]): Promise<void>;
}

export interface FamilyLoop {
  readonly parts: SyncLoopParts<ProxyInput, State, Change>;
  /** The last compiled model; undefined before the first. */
  model(): ProxyModel | undefined;
  report(): FamilyReport;
  /** The part of the report that costs nothing. */
  status(): Pick<FamilyReport, 'family' | 'lastSync' | 'problem'>;
  /** Starts to watch the kernel; `resync` asks for a turn of the loop. */
  watch(resync: () => void): void;
  /** Waits for what is under way; after the loop has stopped. */
  close(): Promise<void>;
}

/** What the kernel holds, or shall hold; and the model it came from, which is undefined while that is not known. */
interface State {
  readonly rules: unknown;
  readonly model: ProxyModel | undefined;
  /** Addresses of the node, in whose node ports stale flows may be. */
  readonly nodeAddresses: ReadonlySet<string>;
}

interface Change {
  /** For the programmer. */
  readonly rules: unknown;
  /** Look for UDP flows to endpoints that are gone. */
  readonly cleanFlows: boolean;
}

/** What is known of the kernel. */
interface Held {
  readonly rules: unknown;
  readonly readAt: number;
  /** The rules are as they were read, not those that were wanted. */
  readonly asRead: boolean;
}

/** The loop of one family: input -> model -> rules -> smallest restore -> kernel. `initial` is what the kernel held just now. */
export function createFamilyLoop(dependencies: FamilyLoopDependencies, initial: unknown): FamilyLoop {
  const { programmer, flows, options, metrics, context } = dependencies;
  const { family } = programmer;
  const { clock } = context;
  const log = context.log.child({ component: 'proxy', family: `IPv${family}` });
  const compile = createProxyCompiler(family);

  const heldAsRead = (rules: unknown): Held => ({ rules, readAt: clock.monotonic(), asRead: true });
  /** Kept over turns, so that a sync reads nothing; given up when it may be wrong. */
  let kernel: Held | undefined = heldAsRead(initial);
  let applied: ProxyModel | undefined;
  let latest: ProxyModel | undefined;
  let toldProblems = '';
  let lastSync = 0;
  let lastChange: FamilyReport['lastChange'];
  let problem: string | undefined;
  /** The turn that is under way has read the kernel. */
  let hasRead = true;
  const auditor = createAuditor({ programmer, clock, audited });

  async function read(): Promise<State> {
    // The resync turn comes one period after the last turn; the tenth is for the jitter of timers.
    if (kernel && !auditor.isDoubtful() && clock.monotonic() - kernel.readAt > options.syncPeriod * 0.9) {
      if (auditor.isUntouched()) kernel = { ...kernel, readAt: clock.monotonic() };
      else auditor.start();
    }
    if (!kernel || auditor.isDoubtful()) {
      auditor.reading();
      hasRead = true;
      kernel = heldAsRead(await programmer.read());
    }
    return { rules: kernel.rules, model: applied, nodeAddresses: new Set() };
  }

  function audited(rules: unknown): void {
    kernel = heldAsRead(rules);
  }

  async function program(change: unknown, { rules, model }: State): Promise<void> {
    const before = kernel;
    kernel = undefined;
    const start = clock.monotonic();
    let bytes: number;
    auditor.changing();
    try {
      bytes = await programmer.apply(change);
    } catch (error) {
      dependencies.onRestoreFailed(error, !hasRead);
      throw error;
    }
    if (before) kernel = { rules: programmer.after(before.rules, change, rules), readAt: before.readAt, asRead: false };
    lastChange = { at: clock.now(), milliseconds: clock.monotonic() - start, bytes };
    const lines = programmer.size(change);
    if (kernel) metrics.programmed(family, programmer.count(kernel.rules), lines, model!);
    log.debug({ bytes, lines, milliseconds: lastChange.milliseconds }, 'rules changed');
  }

  async function cleanFlows({ model, nodeAddresses }: State): Promise<void> {
    const start = clock.monotonic();
    const tracked = model && (await flows.list(family));
    if (!tracked) return;
    const stale = staleFlows(tracked, applied, model, nodeAddresses);
    if (stale.length > 0) {
      await flows.delete(family, groupFlows(stale));
      log.info({ flows: stale.length }, 'deleted UDP flows to endpoints that are gone');
    }
    metrics.flowsCleaned(family, stale.length, (clock.monotonic() - start) / 1_000);
  }

  function tellProblems({ problems }: ProxyModel): void {
    const text = JSON.stringify(problems);
    if (text !== toldProblems) for (const each of problems) log.warn(each, `cannot program ${each.object}: ${each.field} ${each.reason}`);
    toldProblems = text;
  }

  const parts: SyncLoopParts<ProxyInput, State, Change> = {
    name: `proxy IPv${family}`,
    log,
    clock,
    snapshot: () => dependencies.snapshot(),
    compile(input) {
      const model = compile(input);
      const node = nodeFacts(input.nodeName, input.node, family);
      latest = model;
      tellProblems(model);
      return { rules: programmer.render(model, node), model, nodeAddresses: new Set(node.addresses.map(({ text }) => text)) };
    },
    read,
    diff(actual, desired) {
      const change = {
        rules: programmer.diff(actual.rules, desired.rules),
        cleanFlows: mayHaveStaleFlows(actual.model, desired.model!),
      };
      // What an audit has read since is another matter, for the turn that it asks for.
      if (change.rules === undefined && kernel?.asRead && kernel.rules === actual.rules)
        kernel = { ...kernel, rules: programmer.after(actual.rules, undefined, desired.rules), asRead: false };
      if (change.rules !== undefined || change.cleanFlows) return change;
      applied = desired.model;
      return undefined;
    },
    async apply(change, desired) {
      if (change.rules !== undefined) await program(change.rules, desired);
      if (change.cleanFlows) await cleanFlows(desired);
      applied = desired.model;
    },
    onTurn({ error, duration }) {
      problem = error === undefined ? undefined : String(error);
      if (error !== undefined) kernel = undefined;
      else if (latest) {
        lastSync = clock.now();
        metrics.turn(family, duration / 1_000, lastSync / 1_000, hasRead);
        dependencies.onSynced();
      }
      hasRead = false;
    },
    minInterval: options.minSyncPeriod,
    burst: options.syncBurst,
    resyncInterval: options.syncPeriod,
  };

  return {
    parts,
    watch: auditor.watch,
    close: auditor.close,
    model: () => latest,
    status: () => ({ family, lastSync, problem }),
    report: () => ({
      family,
      services: latest?.services.length ?? 0,
      backends: latest?.services.reduce((sum, { backends }) => sum + backends.length, 0) ?? 0,
      rules: kernel ? [...programmer.count(kernel.rules).values()].reduce((sum, count) => sum + count, 0) : 0,
      lastSync,
      lastChange,
      problem,
      unprogrammed: latest?.problems.map(({ object, field, reason }) => `${object} ${field}: ${reason}`) ?? [],
    }),
  };
}
