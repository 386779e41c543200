import type { AnyObject, KindDeclaration } from '../../objects/index.ts';
import type { StoreCondition } from '../../storage/index.ts';
import type { User } from '../access.ts';

export interface AdmissionRequest {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE';
  readonly kind: KindDeclaration;
  /** '' for cluster-scoped objects. */
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
  readonly user: User;
  /** The object as it is to be stored; a plugin may change it. Undefined on delete. */
  readonly object: AnyObject | undefined;
  /** The object as it stands; on update alone. */
  readonly old?: AnyObject;
}

export interface AdmissionPlugin {
  readonly name: string;
  /** Before a creation is admitted: waits a moment for what is about to be there. Refuses nothing. */
  wait?(request: Pick<AdmissionRequest, 'kind' | 'namespace' | 'object'>): Promise<void>;
  /**
   * Refuses the request by throwing a StatusError, or lets it pass under conditions that the write is to be made under.
   * Called again when the conditions did not hold.
   */
  admit(request: AdmissionRequest): readonly StoreCondition[];
}

/** Asks each plugin in turn; the conditions of all of them. @throws StatusError of the first that refuses. */
export const admitAll = (plugins: readonly AdmissionPlugin[], request: AdmissionRequest): StoreCondition[] =>
  plugins.flatMap((plugin) => plugin.admit(request));

/** Lets each plugin that needs it wait before a creation. */
export async function waitForAll(
  plugins: readonly AdmissionPlugin[],
  request: Pick<AdmissionRequest, 'kind' | 'namespace' | 'object'>,
): Promise<void> {
  for (const plugin of plugins) if (plugin.wait) await plugin.wait(request);
}
