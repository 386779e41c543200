import type { AnyObject, KindDeclaration } from '../../objects/index.ts';

/** meta/v1 DeleteOptions, as far as they are acted on. */
export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  readonly orphanDependents?: boolean;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

const foreground = 'foregroundDeletion';
const orphan = 'orphan';

/**
 * The finalizers by which the garbage collector learns what to do with dependents (the reference's deletionFinalizersForGarbageCollection).
 * What the options leave open, finalizers set before decide; else dependents go in the background.
 */
export function finalizersFor(finalizers: readonly string[], { propagationPolicy, orphanDependents }: DeleteOptions): string[] {
  if (propagationPolicy === undefined && orphanDependents === undefined) return [...finalizers];
  const wanted = propagationPolicy ?? (orphanDependents ? 'Orphan' : 'Background');
  const others = finalizers.filter((name) => name !== foreground && name !== orphan);
  if (wanted === 'Foreground') return [...others, foreground];
  return wanted === 'Orphan' ? [...others, orphan] : others;
}

/** Seconds until the object goes: only a pod on a node gets time, for its runner to stop it (the reference's podStrategy.CheckGracefulDelete). */
export function gracePeriodFor({ resource }: KindDeclaration, { spec, status }: AnyObject, options: DeleteOptions): number {
  if (resource.plural !== 'pods' || !spec?.nodeName || status?.phase === 'Failed' || status?.phase === 'Succeeded') return 0;
  const seconds = options.gracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30;
  return seconds < 0 ? 1 : seconds;
}
