/** What makes one list of another: elements taken out, each with its place in the list before, and put in, each with its place in the list after. */
export interface ListEdits<T> {
  readonly removed: readonly ListEdit<T>[];
  readonly added: readonly ListEdit<T>[];
}

export interface ListEdit<T> {
  readonly index: number;
  readonly value: T;
}

/** So far ahead is looked for where two lists are the same again. */
const lookAhead = 24;

/**
 * The edits between two lists that are mostly the same; what is neither removed nor added stands in both in the same order. Undefined when
 * there would be more than `limit`, and the lists had better be taken as different altogether. An element that moved is removed and added.
 * Costs one comparison for each element, plus a little for each edit.
 */
export function listEdits<T>(
  before: readonly T[],
  after: readonly T[],
  limit: number,
  same: (a: T, b: T) => boolean = (a, b) => a === b,
): ListEdits<T> | undefined {
  const removed: ListEdit<T>[] = [];
  const added: ListEdit<T>[] = [];
  const remove = (index: number): void => void removed.push({ index, value: before[index]! });
  const add = (index: number): void => void added.push({ index, value: after[index]! });
  let [i, j] = [0, 0];
  while (i < before.length && j < after.length) {
    if (same(before[i]!, after[j]!)) {
      i++;
      j++;
      continue;
    }
    const [skip, take] = nextMatch(before, i, after, j, same);
    if (removed.length + added.length + skip + take > limit) return undefined;
    for (const end = i + skip; i < end; i++) remove(i);
    for (const end = j + take; j < end; j++) add(j);
  }
  if (removed.length + added.length + (before.length - i) + (after.length - j) > limit) return undefined;
  for (; i < before.length; i++) remove(i);
  for (; j < after.length; j++) add(j);
  return { removed, added };
}

/** The list after the edits, as a list of its own. */
export const applyListEdits = <T>(list: readonly T[], edits: ListEdits<T>): T[] => editList([...list], edits);

/** Edits the list itself: that costs next to nothing when the edits are few, however long the list. Returns it. */
export function editList<T>(list: T[], { removed, added }: ListEdits<T>): T[] {
  if (removed.length + added.length > maxSplices) return replaceAll(list, editedCopy(list, { removed, added }));
  // Places are those before of what goes and those after of what comes, so what goes goes first, the last of it first.
  for (const { index } of removed.toReversed()) list.splice(index, 1);
  for (const { index, value } of added) list.splice(index, 0, value);
  return list;
}

/** More edits than these, and one walk over the list costs less than moving its end for each. */
const maxSplices = 64;

function editedCopy<T>(list: readonly T[], { removed, added }: ListEdits<T>): T[] {
  const edited: T[] = [];
  let from = 0;
  let [gone, came] = [0, 0];
  for (;;) {
    const untilGone = removed[gone]?.index ?? list.length;
    const untilCame = added[came]?.index ?? Number.POSITIVE_INFINITY;
    while (from < untilGone && edited.length < untilCame) edited.push(list[from++]!);
    if (edited.length === untilCame) edited.push(added[came++]!.value);
    else if (gone < removed.length) {
      from++;
      gone++;
    } else return edited;
  }
}

function replaceAll<T>(list: T[], content: readonly T[]): T[] {
  list.length = content.length;
  for (const [index, value] of content.entries()) list[index] = value;
  return list;
}

/** The edits that make the first list of the second again. */
export const reversed = <T>({ removed, added }: ListEdits<T>): ListEdits<T> => ({ removed: added, added: removed });

/** How many elements to leave out of each list until they meet again, as few as possible; one of each when they do not meet soon. */
function nextMatch<T>(
  before: readonly T[],
  i: number,
  after: readonly T[],
  j: number,
  same: (a: T, b: T) => boolean,
): readonly [number, number] {
  for (let distance = 1; distance <= lookAhead; distance++) {
    for (let skip = 0; skip <= distance; skip++) {
      const [a, b] = [i + skip, j + distance - skip];
      if (a < before.length && b < after.length && same(before[a]!, after[b]!)) return [skip, distance - skip];
    }
  }
  return [1, 1];
}
