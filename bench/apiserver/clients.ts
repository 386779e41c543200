import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Endpoint } from './connection.ts';
import type { Result, Task } from './load.ts';

/** The process that the clients run in. */
export interface Clients {
  /** @throws Error when a request did not get the answer it must, or the process died. */
  run(endpoint: Endpoint, task: Task): Promise<Result>;
  stop(): void;
}

export function startClients(): Clients {
  const child: ChildProcess = fork(fileURLToPath(new URL('./load.ts', import.meta.url)), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // A collection of young objects in this process would be measured as the server's delay.
    execArgv: ['--max-semi-space-size=64'],
  });
  const waiting = new Map<number, { done: (result: Result) => void; fail: (error: Error) => void }>();
  let last = 0;
  child.on('message', ({ id, result, error }: { id: number; result?: Result; error?: string }) => {
    const { done, fail } = waiting.get(id)!;
    waiting.delete(id);
    if (result) done(result);
    else fail(new Error(error));
  });
  child.on('exit', () => {
    for (const { fail } of waiting.values()) fail(new Error('the process of the clients ended'));
  });
  return {
    run: (endpoint, task) =>
      new Promise((done, fail) => {
        const id = ++last;
        waiting.set(id, { done, fail });
        child.send({ id, task, endpoint });
      }),
    stop: () => child.disconnect(),
  };
}
