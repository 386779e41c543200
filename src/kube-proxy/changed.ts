/**
 * Where two lists hold different objects; undefined when they are of different length or differ in more than `limit` places, and whatever was
 * made of the first had better be made anew.
 */
export function changedIndexes<T>(before: readonly T[], after: readonly T[], limit: number): number[] | undefined {
  if (before.length !== after.length) return undefined;
  const changed: number[] = [];
  for (let index = 0; index < after.length; index++) {
    if (before[index] === after[index]) continue;
    if (changed.length === limit) return undefined;
    changed.push(index);
  }
  return changed;
}
