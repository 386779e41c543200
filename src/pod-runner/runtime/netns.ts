import { type FSWatcher, mkdirSync, readFileSync, watch } from 'node:fs';
import { CommandError, type CommandRunner } from '../../kernel/command-runner.ts';
import { startDetached } from '../../kernel/processes.ts';
import { programFile } from '../../runtime/program-files.ts';
import { type Clock, sleep } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/log.ts';
import type { ContainerRecord } from '../container-record.ts';
import { PodRunnerError } from '../errors.ts';
import { podExecCommand } from '../exec-command.ts';
import type { ContainerRun } from '../machine/types.ts';
import { shimCommand } from '../render/shim.ts';
import { isAlive, observe, removeMarks, saveRecord, stopProcess } from './container-process.ts';
import { programProblem } from './find-program.ts';
import { attachTo, execIn } from './interaction.ts';
import { removeLogFiles } from './log-file.ts';
import { type PodFiles, podFiles, podUids, readRecords, removePodFiles, writeNameFiles } from './pod-files.ts';
import type { OutputPump } from './output-pump.ts';
import { createPortConnector } from './port-connector.ts';
import { createPumps } from './pumps.ts';
import type { ContainerAccess, FoundPod, PodRef, Runtime, StartRequest } from './runtime.ts';
import type { Sandboxes } from './sandbox.ts';

export interface NetnsRuntimeParts {
  readonly runner: CommandRunner;
  readonly clock: Clock;
  readonly log: Logger;
  readonly root: string;
  readonly sandboxes: Sandboxes;
}

/** What the shims write is heard at once; this is for what nobody writes: processes that vanished, logs that grew (ms). */
const lookInterval = 2_000;
/** How long a container that a runner before us was just starting is given to show up (ms). */
const startPatience = 1_000;

interface Tracked {
  readonly ref: PodRef;
  readonly files: PodFiles;
  readonly records: Map<string, ContainerRecord>;
  readonly kills: Map<string, () => void>;
  /** Containers whose first process is being started at this moment. */
  readonly launching: Set<string>;
  watcher: FSWatcher | undefined;
}

/** Pods as network namespaces, containers as processes in namespaces of their own (network, mount, hostname, process ids). */
export function createNetnsRuntime({ runner, clock, log, root, sandboxes }: NetnsRuntimeParts): Runtime & ContainerAccess {
  const bootID = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const pods = new Map<string, Tracked>();
  const listeners = new Set<(uid: string) => void>();
  const pumps = createPumps(clock, log);
  const connector = createPortConnector({ clock, log });
  const openedAt = clock.monotonic();
  let cancelLook = clock.setTimer(startPatience + 100, lookAtAll);

  function track(ref: PodRef): Tracked {
    const known = pods.get(ref.uid);
    if (known) return known;
    const files = podFiles(root, ref.uid);
    mkdirSync(files.dir, { recursive: true, mode: 0o700 });
    const tracked: Tracked = { ref, files, records: new Map(), kills: new Map(), launching: new Set(), watcher: undefined };
    pods.set(ref.uid, tracked);
    try {
      // Names are <container>.<attempt>.<mark>, and container names hold no dots.
      tracked.watcher = watch(files.dir, (_event, name) => name !== null && tryToLook(tracked, name.split('.')[0]!, false));
      tracked.watcher.on('error', () => tracked.watcher?.close());
    } catch (error) {
      log.warn({ err: error, pod: ref.name }, 'the folder of a pod cannot be watched; its containers are looked at every 2 s');
    }
    return tracked;
  }

  /** Brings a container's record up to date; tells of a change in its run. */
  function look(tracked: Tracked, container: string, deep: boolean): void {
    const before = tracked.records.get(container);
    if (!before || before.run.phase === 'exited') return;
    const begun = before.shim !== undefined || before.process !== undefined;
    const expected = begun || (!tracked.launching.has(container) && clock.monotonic() - openedAt > startPatience);
    const after = observe(before, tracked.files, bootID, deep && expected, clock.now());
    if (after === before) return;
    put(tracked, after);
    if (after.run !== before.run) tell(tracked.ref.uid);
  }

  function tryToLook(tracked: Tracked, container: string, deep: boolean): void {
    try {
      look(tracked, container, deep);
    } catch (error) {
      log.error({ err: error, pod: tracked.ref.name, container }, 'a container could not be looked at');
    }
  }

  function put(tracked: Tracked, record: ContainerRecord): void {
    tracked.records.set(record.container, record);
    pumps.follow(tracked.files, record);
    if (record.run.phase === 'exited') {
      tracked.kills.get(record.container)?.();
      tracked.kills.delete(record.container);
    }
    // The folder goes away under a container that is killed while its pod is being removed.
    if (pods.get(tracked.ref.uid) === tracked) saveRecord(tracked.files, record);
  }

  const tell = (uid: string): void => {
    for (const listener of listeners) listener(uid);
  };

  function lookAtAll(): void {
    for (const tracked of pods.values()) {
      for (const container of [...tracked.records.keys()]) {
        tryToLook(tracked, container, true);
      }
    }
    cancelLook = clock.setTimer(lookInterval, lookAtAll);
  }

  async function start(tracked: Tracked, record: ContainerRecord, { launch, sandbox, files: nameFiles }: StartRequest): Promise<void> {
    const { files, ref } = tracked;
    const { hostNetwork } = sandbox.sharing;
    const { attempt } = record.run;
    const [program = ''] = launch.argv;
    const problem = launch.program ? undefined : programProblem(program, launch.environment.get('PATH') ?? '', launch.workingDir);
    if (problem !== undefined) throw new Error(problem);
    const netns = hostNetwork ? undefined : sandboxes.netns(ref.uid);
    if (!hostNetwork && netns === undefined) throw new Error('the pod has no network namespace');
    const builtIn = launch.program ? [process.execPath, programFile(`pod-runner/programs/${launch.program}`), ...launch.argv] : launch.argv;
    const environment = launch.program
      ? new Map([...launch.environment, ['PODWIRE_ANNOUNCE', files.mark(record.container, attempt, 'listening')]])
      : launch.environment;
    const [command, ...args] = shimCommand({
      netns,
      exitFile: files.mark(record.container, attempt, 'exit'),
      startedFile: files.mark(record.container, attempt, 'started'),
      problemFile: files.mark(record.container, attempt, 'problem'),
      io: files.io(record.container, attempt),
      stdin: launch.stdin !== 'none',
      tty: launch.tty,
      filesDir: writeNameFiles(files, nameFiles),
      hostname: launch.hostname,
      workingDir: launch.workingDir,
      mounts: launch.mounts,
      scratchDir: files.scratchDir,
      environment,
      argv: builtIn,
    });
    // What a runner that was killed in the middle of this has left.
    removeMarks(files, record.container, attempt);
    const folders = [files.ioDir, files.logsDir, ...(launch.mounts.length > 0 ? [files.scratchDir] : [])];
    for (const folder of folders) mkdirSync(folder, { recursive: true, mode: 0o700 });
    const shim = await startDetached(command, args, files.mark(record.container, attempt, 'problem'));
    // The started mark may have been seen meanwhile: what it told is kept.
    const current = tracked.records.get(record.container) ?? record;
    if (current.run.attempt === attempt) put(tracked, { ...current, shim });
  }

  return {
    async listPods() {
      const found: FoundPod[] = [];
      for (const uid of podUids(root)) {
        const files = podFiles(root, uid);
        const records = readRecords(files);
        const ref: PodRef = records[0] ? { namespace: records[0].namespace, name: records[0].pod, uid } : { namespace: '', name: '', uid };
        const tracked = track(ref);
        for (const record of records) {
          tracked.records.set(record.container, record);
          pumps.follow(files, record);
          look(tracked, record.container, true);
        }
        const now = [...tracked.records.values()];
        found.push({
          ref,
          addresses: sandboxes.addresses(uid),
          runs: new Map(now.map(({ container, run }) => [container, run])),
          lasts: new Map(now.flatMap(({ container, last }) => (last ? [[container, last] as const] : []))),
        });
      }
      return found;
    },
    createSandbox: ({ pod, hostPorts, annotations }) => sandboxes.create(pod, hostPorts, annotations),
    removeSandbox: (pod) => sandboxes.remove(pod),
    async startContainer(request) {
      const { attempt, launch, last } = request;
      const { pod, sharing } = request.sandbox;
      const tracked = track(pod);
      const netns = sharing.hostNetwork ? undefined : sandboxes.netns(pod.uid);
      const run: ContainerRun = { attempt, phase: 'starting' };
      const record: ContainerRecord = {
        namespace: pod.namespace,
        pod: pod.name,
        uid: pod.uid,
        container: launch.container,
        ...(netns === undefined ? {} : { netns }),
        image: launch.image,
        environment: Object.fromEntries(launch.environment),
        workingDir: launch.workingDir,
        stdin: launch.stdin,
        tty: launch.tty,
        run,
        ...(last ? { last } : {}),
        bootID,
        announces: launch.program !== undefined && launch.argv[0] !== 'pause',
      };
      put(tracked, record);
      tracked.launching.add(launch.container);
      try {
        if (last) removeMarks(tracked.files, launch.container, last.attempt);
        // The run before stays to be read; kubelet keeps one, too.
        if (attempt > 1) removeLogFiles(tracked.files.log(launch.container, attempt - 2));
        await start(tracked, record, request);
        look(tracked, launch.container, false);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        put(tracked, {
          ...record,
          run: { attempt, phase: 'exited', exitCode: 128, reason: 'StartError', message, finishedAt: clock.now() },
        });
        tell(pod.uid);
      } finally {
        tracked.launching.delete(launch.container);
      }
    },
    stopContainer({ uid }, container, grace) {
      const tracked = pods.get(uid);
      const record = tracked?.records.get(container);
      if (!tracked || !record || record.run.phase === 'exited') return;
      tracked.kills.get(container)?.();
      tracked.kills.set(container, stopProcess(record, grace, clock));
    },
    runs: (uid) => new Map([...(pods.get(uid)?.records ?? [])].map(([name, { run }]) => [name, run])),
    async exec({ uid }, container, command, timeout) {
      const record = pods.get(uid)?.records.get(container);
      if (!record) throw new Error(`container ${container} is not there`);
      const [program, ...args] = podExecCommand(record, command);
      try {
        const result = await runner.run(program!, args, { timeout, acceptExitCodes: Array.from({ length: 255 }, (_, index) => index + 1) });
        return { exitCode: result.exitCode, output: (result.stdout + result.stderr).slice(0, 10_000) };
      } catch (error) {
        if (error instanceof CommandError && error.reason === 'timeout')
          return { exitCode: 124, output: `command timed out after ${timeout / 1000}s` };
        throw error;
      }
    },
    async interact({ uid }, container, request) {
      const tracked = pods.get(uid);
      const record = tracked?.records.get(container);
      if (!tracked || !record) throw new PodRunnerError(`container ${container}`, 'is not running');
      return execIn(record, tracked.files, request, { runner, clock, log });
    },
    async attach({ uid }, container) {
      const tracked = pods.get(uid);
      const record = tracked?.records.get(container);
      if (!tracked || record?.run.phase !== 'running') throw new PodRunnerError(`container ${container}`, 'is not running');
      return attachTo(record, tracked.files, pumps.get(tracked.files, container, record.run.attempt), { runner, clock, log });
    },
    log({ uid }, container, attempt) {
      const files = podFiles(root, uid);
      let held: OutputPump | undefined;
      // Held on to: it still knows how often the log was set aside once it has ended.
      const pump = (): OutputPump | undefined => (held ??= pumps.get(files, container, attempt));
      const running = (): boolean => {
        const run = pods.get(uid)?.records.get(container)?.run;
        return run?.attempt === attempt && run.phase !== 'exited';
      };
      return {
        file: files.log(container, attempt),
        turns: () => pump()?.turns ?? 0,
        running,
        open: () => pump()?.ended === false || running(),
        subscribe(listener) {
          const ofRuns = (changed: string): void => void (changed === uid && listener());
          const unsubscribe = pump()?.subscribe(listener);
          listeners.add(ofRuns);
          return () => {
            unsubscribe?.();
            listeners.delete(ofRuns);
          };
        },
      };
    },
    async connect(pod, hostNetwork, port) {
      const netns = hostNetwork ? undefined : sandboxes.netns(pod.uid);
      if (!hostNetwork && netns === undefined) throw new PodRunnerError(`pod ${pod.namespace}/${pod.name}`, 'has no network');
      return connector.connect(netns, port);
    },
    async removePod(pod) {
      const tracked = track(pod);
      const left = [...tracked.records.values()].filter(({ run, bootID: boot }) => run.phase !== 'exited' && boot === bootID);
      for (const record of left) stopProcess(record, 0, clock);
      for (let round = 0; round < 200 && left.some(isAlive); round++) await sleep(clock, 10);
      await sandboxes.remove(pod);
      pumps.forget(tracked.files);
      tracked.watcher?.close();
      pods.delete(pod.uid);
      removePodFiles(tracked.files);
    },
    removeStrays: () => sandboxes.removeStrays(podUids(root)),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close() {
      cancelLook();
      pumps.close();
      connector.close();
      for (const { watcher, kills } of pods.values()) {
        watcher?.close();
        for (const cancel of kills.values()) cancel();
      }
      listeners.clear();
    },
  };
}

/** Next to this file, as source or as built. */
