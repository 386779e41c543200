// Brings sets that were written under another version of the schema to the present one (structured-merge-diff's ReconcileFieldSetWithSchema): what has
// become atomic since is owned as a whole. The other way round nothing can be told: a field without anything below it may have been atomic or empty.
import { type FieldNode, type FieldSet, leaf } from './field-set.ts';
import type { Structure } from './structure.ts';

/** The set itself when it fits already. */
export function reconcile(structure: Structure, set: FieldSet): FieldSet {
  let result: Map<string, FieldNode> | undefined;
  for (const [element, node] of set) {
    const inner = node.children && innerStructure(structure, element);
    const fitted = inner ? reconcileNode(inner, node) : node;
    if (fitted !== node) (result ??= new Map(set)).set(element, fitted);
  }
  return result ?? set;
}

function reconcileNode(structure: Structure, node: FieldNode): FieldNode {
  if (isAtomic(structure)) return leaf;
  const children = reconcile(structure, node.children!);
  return children === node.children ? node : { member: node.member, children };
}

function isAtomic(structure: Structure): boolean {
  if (structure.kind === 'list') return structure.list.type === 'atomic';
  return (structure.kind === 'map' || structure.kind === 'struct') && structure.atomic;
}

function innerStructure(structure: Structure, element: string): Structure | undefined {
  if (structure.kind === 'struct') return structure.fields.get(element.slice(2))?.structure;
  if (structure.kind === 'map') return structure.value;
  return structure.kind === 'list' ? structure.item : undefined;
}
