import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/log.ts';
import { programFile } from '../../runtime/program-files.ts';
import { connectLocally } from './connect-locally.ts';

/** Opens connections to ports inside pods' networks. */
export interface PortConnector {
  /** Connects to a port on the loopback of a network namespace given by its path; undefined is this process's own. Rejects with kubelet's words. */
  connect(netns: string | undefined, port: number): Promise<Socket>;
  close(): void;
}

/** A helper that has had nothing to do for so long (ms) is ended. */
const idleTime = 10_000;
/** How long a helper is given to connect (ms), its own start included. */
const patience = 15_000;

/** What is asked of a helper, and its answer; a connection comes with it. */
export interface ConnectRequest {
  readonly id: number;
  readonly port: number;
}
export interface ConnectAnswer {
  readonly id: number;
  readonly problem?: string;
}

interface Helper {
  readonly child: ChildProcess;
  readonly waiting: Map<number, (answer: Omit<ConnectAnswer, 'id'>, socket?: Socket) => void>;
  cancelEnd: () => void;
}

/**
 * A socket belongs to the network namespace of the process that makes it. So one helper process per pod, as long as it is needed, makes the
 * connections inside and hands over the connected sockets; their bytes do not pass through it.
 */
export function createPortConnector({ clock, log }: { readonly clock: Clock; readonly log: Logger }): PortConnector {
  const helpers = new Map<string, Helper>();
  let nextId = 1;

  function helperFor(netns: string): Helper {
    const known = helpers.get(netns);
    if (known) return known;
    const child = fork(programFile('pod-runner/programs/port-connector'), [], {
      execPath: 'nsenter',
      execArgv: [`--net=${netns}`, '--', process.execPath],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      cwd: '/',
    });
    const helper: Helper = { child, waiting: new Map(), cancelEnd: () => undefined };
    helpers.set(netns, helper);
    const gone = (problem: string): void => {
      if (helpers.get(netns) === helper) helpers.delete(netns);
      helper.cancelEnd();
      for (const answer of helper.waiting.values()) answer({ problem });
    };
    child.on('message', (message: ConnectAnswer, socket) => {
      const answer = helper.waiting.get(message.id);
      if (answer) answer(message, socket as Socket | undefined);
      else (socket as Socket | undefined)?.destroy();
    });
    child.once('error', (error) => gone(error.message));
    child.once('exit', () => gone('the process that connects inside the pod has ended'));
    return helper;
  }

  function end(netns: string, helper: Helper): void {
    if (helpers.get(netns) === helper) helpers.delete(netns);
    helper.child.kill('SIGKILL');
  }

  return {
    connect(netns, port) {
      if (netns === undefined) return connectLocally(port);
      const helper = helperFor(netns);
      helper.cancelEnd();
      const id = nextId++;
      return new Promise((resolve, reject) => {
        const settle = ({ problem }: Omit<ConnectAnswer, 'id'>, socket?: Socket): void => {
          cancel();
          helper.waiting.delete(id);
          if (helper.waiting.size === 0) {
            helper.cancelEnd();
            helper.cancelEnd = clock.setTimer(idleTime, () => end(netns, helper));
          }
          if (socket) resolve(socket);
          else reject(new Error(problem ?? 'no connection was made'));
        };
        const cancel = clock.setTimer(patience, () => settle({ problem: 'timed out connecting inside the pod' }));
        helper.waiting.set(id, settle);
        helper.child.send({ id, port } satisfies ConnectRequest, (error) => {
          if (!error) return;
          log.debug({ err: error, netns }, 'a connection inside a pod could not be asked for');
          settle({ problem: error.message });
        });
      });
    },
    close() {
      for (const [netns, helper] of helpers) {
        helper.cancelEnd();
        end(netns, helper);
      }
    },
  };
}
