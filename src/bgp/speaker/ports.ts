// What a speaker needs of the world, in the shapes of runtime/ and transport/, so that the feature stays free of effects.

export interface SpeakerConnection {
  readonly remote: { readonly address: string; readonly port: number };
  attach(handlers: { data(bytes: Uint8Array): void; closed(error?: Error): void; drained?(): void }): void;
  /** False: hold back until drained. */
  write(bytes: Uint8Array): boolean;
  end(): void;
  destroy(): void;
}

export interface SpeakerLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface SpeakerPorts {
  connect(options: { address: string; port: number; localAddress?: string }, signal?: AbortSignal): Promise<SpeakerConnection>;
  /** Milliseconds. */
  readonly clock: { now(): number; monotonic(): number; setTimer(delay: number, callback: () => void): () => void };
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: SpeakerLog;
}
