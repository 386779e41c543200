import { badRequest } from './status-errors.ts';

/** No Kubernetes object is nested as deep as this. */
const maxDepth = 200;

/** Refuses what is nested so deep that walking it could exhaust the stack. @throws StatusError 400. */
export function checkNesting(value: unknown): void {
  let level: object[] = isContainer(value) ? [value] : [];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) throw badRequest(`the body is nested deeper than ${maxDepth} levels`);
    const next: object[] = [];
    for (const container of level) for (const inner of Object.values(container)) if (isContainer(inner)) next.push(inner);
    level = next;
  }
}

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null;
