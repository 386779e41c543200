import { applyListEdits, type ListEdits, listEdits } from '../../dataplane/list-edits.ts';
import type { ServicePortModel } from '../model.ts';

/** What was rendered of each service port, in their order; and how the list came from the one before, when that is little. */
export interface PortParts<Part> {
  readonly parts: readonly Part[];
  /** Undefined when the list is not the last one with a few changes. */
  readonly edits: ListEdits<Part> | undefined;
}

/** More changed ports than these at once, and everything is put together anew. */
const maxPatched = 512;

/**
 * Renders each service port once, as long as the same model objects come again. `render` is given the part that the same port had before, if it
 * had one; `forget` gives up everything.
 */
export function createPortParts<Part>(render: (port: ServicePortModel, before: Part | undefined) => Part): {
  of(ports: readonly ServicePortModel[]): PortParts<Part>;
  forget(): void;
} {
  let last: { readonly ports: readonly ServicePortModel[]; readonly parts: readonly Part[] } | undefined;
  const whole = (ports: readonly ServicePortModel[]): readonly Part[] => {
    const known = new Map(last?.ports.map((port, index) => [port, last!.parts[index]!]));
    return ports.map((port) => known.get(port) ?? render(port, undefined));
  };
  const edited = (ports: readonly ServicePortModel[]): PortParts<Part> | undefined => {
    const changes = last && listEdits(last.ports, ports, maxPatched);
    if (!last || !changes) return undefined;
    const { parts } = last;
    const before = new Map(changes.removed.map(({ index, value }) => [identityOf(value), parts[index]!]));
    const edits = {
      removed: changes.removed.map(({ index }) => ({ index, value: parts[index]! })),
      added: changes.added.map(({ index, value }) => ({ index, value: render(value, before.get(identityOf(value))) })),
    };
    return { parts: edits.removed.length + edits.added.length === 0 ? parts : applyListEdits(parts, edits), edits };
  };
  return {
    of(ports) {
      const made = edited(ports) ?? { parts: whole(ports), edits: undefined };
      last = { ports, parts: made.parts };
      return made;
    },
    forget: () => void (last = undefined),
  };
}

const identityOf = ({ name, protocol }: ServicePortModel): string => `${name} ${protocol}`;
