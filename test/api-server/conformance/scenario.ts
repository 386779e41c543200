/** What a stream must hold: the exact text, or patterns of which each must match. `@ns` stands for the scenario's namespace in all of them. */
export type Expectation = string | RegExp | readonly RegExp[];

/** On which side a step applies: versions are minor numbers (`27` is 1.27). */
export interface Applies {
  /** First kubectl it is true for. */
  readonly since?: number;
  /** Last kubectl it is true for. */
  readonly until?: number;
  /** First API server that can do it. */
  readonly server?: number;
  /** Not true of this project's server: it is honest about something that it leaves out. A server of others is not held to it. */
  readonly own?: true;
}

/** Runs kubectl to its end. */
export interface CommandStep extends Applies {
  /** The arguments as one types them in a shell, without variables. */
  readonly run: string;
  /** Standard input; an object is written as JSON, several as a List. */
  readonly stdin?: string | object;
  /** Default 0; `fails` for any other. */
  readonly exit?: number | 'fails';
  readonly stdout?: Expectation;
  readonly stderr?: Expectation;
  readonly env?: Readonly<Record<string, string>>;
  /** Tried again until all of it holds, for what controllers do in their own time. */
  readonly eventually?: true;
}

/** Starts kubectl in the background under a name. */
export interface StartStep extends Applies {
  readonly start: string;
  readonly as: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Waits until what a started kubectl printed to standard output matches. */
export interface SeeStep extends Applies {
  readonly see: string;
  readonly stdout: RegExp;
}

/** Waits for a started kubectl to end by itself (or, with `stop`, ends it). */
export interface EndStep extends Applies {
  readonly end: string;
  readonly stop?: true;
  readonly exit?: number | 'fails';
  readonly stdout?: Expectation;
  readonly stderr?: Expectation;
}

/** GET over the plain HTTP of a started `kubectl proxy`. */
export interface FetchStep extends Applies {
  readonly fetch: string;
  readonly through: string;
  readonly body: RegExp;
}

export type Step = CommandStep | StartStep | SeeStep | EndStep | FetchStep;

/** A list of commands in a namespace of its own. */
export interface Scenario {
  /** Only with the oldest and the newest kubectl: what kubectl asks for it is the same in those between, and each call costs a tenth of a second. */
  readonly ends?: true;
  /** What is shown by it, as a sentence. */
  readonly name: string;
  /** Written into the folder that the commands run in. Objects are written as JSON, which is YAML too. */
  readonly files?: Readonly<Record<string, string | object>>;
  readonly steps: readonly Step[];
  /** Cluster-scoped objects to delete at the end, as `kind/name`. */
  readonly leaves?: readonly string[];
}
