/** A lab that cannot be made, found or changed as asked. The message names the object and the field, and says what to do. */
export class LabError extends Error {
  readonly problems: readonly string[];
  constructor(problems: string | readonly string[]) {
    const list = typeof problems === 'string' ? [problems] : problems;
    super(list.join('\n'));
    this.name = 'LabError';
    this.problems = list;
  }
}
