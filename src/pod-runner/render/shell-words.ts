/** One word for a POSIX shell, whatever is in it (Shell Command Language, 2.2.2): for script(1), which takes a command as text alone. */
export const shellWord = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
