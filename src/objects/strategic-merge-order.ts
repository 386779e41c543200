// The order of a merged list: items that the patch names stand as the patch says, the others keep their places around them.

export type ListItem = string | number | boolean | Record<string, unknown>;

/** What tells an item from the others: the value of its merge key, or (with key '') itself. What is no object has no merge key. */
export const identityOf = (item: ListItem | null, key: string): unknown =>
  key === '' ? item : typeof item === 'object' ? item?.[key] : undefined;

/** Where each identity first stands in the list. */
export function positions(list: readonly ListItem[], key: string): Map<unknown, number> {
  const result = new Map<unknown, number>();
  for (const [index, item] of list.entries()) {
    const identity = identityOf(item, key);
    if (!result.has(identity)) result.set(identity, index);
  }
  return result;
}

/**
 * Sorts `merged`: items of `order` in its sequence, the rest in the sequence of `server`, the two interleaved so that an item of the rest
 * comes first only where the server had it first.
 */
export function arrange<T extends ListItem>(
  merged: readonly T[],
  order: readonly ListItem[],
  server: readonly ListItem[],
  key: string,
): T[] {
  const inOrder = positions(order, key);
  const onServer = positions(server, key);
  const place = (places: Map<unknown, number>, item: ListItem) => places.get(identityOf(item, key)) ?? -1;
  const named = merged.filter((item) => place(inOrder, item) >= 0).toSorted((a, b) => place(inOrder, a) - place(inOrder, b));
  const rest = merged.filter((item) => place(inOrder, item) < 0).toSorted((a, b) => place(onServer, a) - place(onServer, b));
  const result: T[] = [];
  let at = 0;
  for (const item of named) {
    const before = place(onServer, item);
    for (let other = rest[at]; other !== undefined; other = rest[++at]) {
      const own = place(onServer, other);
      if (own < 0 || own >= before) break;
      result.push(other);
    }
    result.push(item);
  }
  return [...result, ...rest.slice(at)];
}
