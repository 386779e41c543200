/** A setting, manifest or network configuration that cannot be used. The message names the file or flag, the field and the reason. */
export class PodRunnerError extends Error {
  constructor(subject: string, problem: string) {
    super(`${subject}: ${problem}`);
    this.name = 'PodRunnerError';
  }
}

/** A plugin answered with an error object, or not at all. */
export class CniError extends Error {
  readonly plugin: string;
  readonly code: number | undefined;
  constructor(plugin: string, command: string, code: number | undefined, message: string) {
    super(`plugin type="${plugin}" failed (${command.toLowerCase()}): ${message}`);
    this.name = 'CniError';
    this.plugin = plugin;
    this.code = code;
  }
}
