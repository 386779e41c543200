import type { StatusCause } from '../types/index.ts';
import { difference, type FieldSet, printPaths } from './field-set.ts';
import { goJson } from './path-element.ts';

/** A configuration that cannot be applied to its kind: a field that is not there, a value of the wrong type, two items of one key. */
export class ConfigurationError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ConfigurationError';
  }
}

/** The request itself is wrong, whatever the object. */
export class ApplyRequestError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ApplyRequestError';
  }
}

/** Fields of one owner that a configuration would change. */
export interface Conflict {
  readonly name: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  readonly set: FieldSet;
}

/** Fields of the configuration that others own with another value. Message and causes are the reference's. */
export class ApplyConflictError extends Error {
  /** Reason FieldManagerConflict, field as `.spec.replicas`. */
  readonly causes: StatusCause[];
  readonly #conflicts: readonly Conflict[];

  /** `conflicts` is not empty. */
  constructor(conflicts: readonly Conflict[]) {
    const each = conflicts.map((conflict) => ({ who: printOwner(conflict), paths: printPaths(conflict.set) }));
    const causes = each.flatMap(({ who, paths }) =>
      paths.map((field): StatusCause => ({ reason: 'FieldManagerConflict', message: `conflict with ${who}`, field })),
    );
    const lines = each.flatMap(({ who, paths }) => [`conflicts with ${who}:`, ...paths.map((path) => `- ${path}`)]);
    super(
      causes.length === 1
        ? `Apply failed with 1 conflict: ${causes[0]!.message}: ${causes[0]!.field}`
        : `Apply failed with ${causes.length} conflicts: ${lines.join('\n')}`,
    );
    this.name = 'ApplyConflictError';
    this.causes = causes;
    this.#conflicts = conflicts;
  }

  /** The conflicts over other fields than these; undefined when there are none. */
  without(fields: FieldSet): ApplyConflictError | undefined {
    const rest = this.#conflicts
      .map((conflict) => ({ ...conflict, set: difference(conflict.set, fields) }))
      .filter(({ set }) => set.size > 0);
    return rest.length > 0 ? new ApplyConflictError(rest) : undefined;
  }
}

/** `"kubectl-edit" using apps/v1`, `"hpa" with subresource "scale" using apps/v1`, `"team-a"` for an applier. */
function printOwner({ name, operation, apiVersion, subresource }: Conflict): string {
  const who = goJson(name) + (subresource ? ` with subresource ${goJson(subresource)}` : '');
  return operation === 'Update' ? `${who} using ${apiVersion}` : who;
}
