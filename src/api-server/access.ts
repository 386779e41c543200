/** Who asks (the reference's user.Info). */
export interface User {
  readonly name: string;
  /** Tells apart users that had one name at different times; undefined when the way of authentication knows none. */
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** A request to a resource, as authorization sees it: by names alone, whether or not the server knows them. */
export interface ResourceAttributes {
  readonly isResource: true;
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  /** '' for the object itself. */
  readonly subresource: string;
  /** '' for cluster-scoped resources, and for all namespaces. */
  readonly namespace: string;
  /** '' for collections. */
  readonly name: string;
}

/** A request to a path of the server itself. */
export interface PathAttributes {
  readonly isResource: false;
  readonly verb: string;
  readonly path: string;
}

export type Attributes = ResourceAttributes | PathAttributes;

export interface Decision {
  readonly allowed: boolean;
  /** Why, for people who look into it; never empty. */
  readonly reason: string;
  /** What of it a client is told after the reference's own text; '' for nothing. */
  readonly told: string;
}

/** Groups that the server itself gives a meaning. */
export const mastersGroup = 'system:masters';
export const authenticatedGroup = 'system:authenticated';
export const unauthenticatedGroup = 'system:unauthenticated';
export const anonymousName = 'system:anonymous';

/** Paths that tell nothing but whether the server works and which it is: answered without asking who wants to know. */
export const publicPaths: ReadonlySet<string> = new Set(['/healthz', '/livez', '/readyz', '/version', '/version/']);

/** Whoever asks for a public path without credentials. Nothing else is open to it. */
export const anonymousUser: User = { name: anonymousName, groups: [unauthenticatedGroup] };

/** The API server itself, when it writes objects of its own. */
export const apiServerUser: User = { name: 'system:apiserver', groups: [mastersGroup] };
