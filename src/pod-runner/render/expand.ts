/**
 * Expands `$(NAME)` as Kubernetes does in command, args and env values: `$$` is a literal `$` (so `$$(NAME)` stays `$(NAME)`), and a
 * reference to a name that is not there stays as it is.
 */
export const expandReferences = (text: string, variables: ReadonlyMap<string, string>): string =>
  text.replace(/\$\$|\$\(([^()]*)\)/g, (whole, name?: string) => (name === undefined ? '$' : (variables.get(name) ?? whole)));
