import type { EventNote } from '../kube/events.ts';
import type { KubeObject } from '../objects/client.ts';
import type { ProxyProblem } from './model.ts';

/** Says each problem once: again only after it was gone. */
export interface ProblemEvents {
  /**
   * The notes of what is new among all problems there are. `find` gives the object of a problem (`Service default/web`); a problem of an object
   * that is gone has no event.
   */
  notesOf(problems: readonly ProxyProblem[], find: (object: string) => KubeObject | undefined): EventNote[];
}

/** Events about what the proxy could not program, naming the field and the reason. */
export function createProblemEvents(): ProblemEvents {
  let told: ReadonlySet<string> = new Set();
  return {
    notesOf(problems, find) {
      const current = new Map(problems.map((problem) => [JSON.stringify(problem), problem]));
      const fresh = [...current].filter(([key]) => !told.has(key));
      told = new Set(current.keys());
      return fresh.flatMap(([, { object, field, reason }]): EventNote[] => {
        const regarding = find(object);
        return regarding ? [{ regarding, type: 'Warning', reason: 'FailedToProgramService', message: `${field}: ${reason}` }] : [];
      });
    },
  };
}

/** The problems of health check node ports that could not be opened; `ports` gives the reason by port, `services` each port's service. */
export const healthPortProblems = (
  ports: ReadonlyMap<number, string>,
  services: readonly { readonly service: string; readonly healthCheckNodePort?: number | undefined }[],
): ProxyProblem[] =>
  [...ports].flatMap(([port, reason]) => {
    const owner = services.find(({ healthCheckNodePort }) => healthCheckNodePort === port);
    return owner ? [{ object: `Service ${owner.service}`, field: 'spec.healthCheckNodePort', reason: `port ${port}: ${reason}` }] : [];
  });
