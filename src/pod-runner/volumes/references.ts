import type { Pod } from '../../objects/client.ts';
import { containersOf, envFromOf, type TokenSource, type ValueSource, volumesOf } from './types.ts';

/** Names of all that a pod's volumes and variables are made of. */
export interface ReferencedNames {
  readonly configMaps: ReadonlySet<string>;
  readonly secrets: ReadonlySet<string>;
  readonly tokens: readonly { readonly volume: string; readonly source: TokenSource }[];
}

export function referencedNames(pod: Pod): ReferencedNames {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  const tokens: { volume: string; source: TokenSource }[] = [];
  for (const { name, configMap, secret, projected } of volumesOf(pod)) {
    if (configMap) configMaps.add(configMap.name);
    if (secret) secrets.add(secret.secretName);
    for (const source of projected?.sources ?? []) {
      if (source.configMap) configMaps.add(source.configMap.name);
      if (source.secret) secrets.add(source.secret.name);
      if (source.serviceAccountToken) tokens.push({ volume: name, source: source.serviceAccountToken });
    }
  }
  for (const container of containersOf(pod)) {
    for (const { configMapRef, secretRef } of envFromOf(container)) {
      if (configMapRef) configMaps.add(configMapRef.name);
      if (secretRef) secrets.add(secretRef.name);
    }
    for (const { valueFrom } of container.env ?? []) {
      const { configMapKeyRef, secretKeyRef } = (valueFrom ?? {}) as ValueSource;
      if (configMapKeyRef) configMaps.add(configMapKeyRef.name);
      if (secretKeyRef) secrets.add(secretKeyRef.name);
    }
  }
  return { configMaps, secrets, tokens };
}
