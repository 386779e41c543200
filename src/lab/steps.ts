import { performance } from 'node:perf_hooks';

/** One finished step of a long command. */
export interface Step {
  readonly title: string;
  /** Milliseconds. */
  readonly duration: number;
}

/** Runs named steps one after the other and tells of each as it starts and ends. */
export interface Steps {
  run<T>(title: string, work: () => Promise<T>): Promise<T>;
  readonly done: readonly Step[];
}

export interface StepListener {
  started(title: string): void;
  finished(step: Step): void;
  failed(title: string): void;
}

export function createSteps(listener: StepListener): Steps {
  const done: Step[] = [];
  return {
    done,
    async run(title, work) {
      listener.started(title);
      const start = performance.now();
      try {
        const result = await work();
        const step = { title, duration: performance.now() - start };
        done.push(step);
        listener.finished(step);
        return result;
      } catch (error) {
        listener.failed(title);
        throw error;
      }
    },
  };
}
