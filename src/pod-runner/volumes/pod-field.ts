import type { Pod } from '../../objects/client.ts';

/**
 * A field of a pod that does not change while it runs but by the hand of people (core/v1 ObjectFieldSelector, the part that volumes may have).
 * Labels and annotations as a whole are lines of key="value", sorted. Undefined for other paths.
 */
export function metadataField({ metadata }: Pod, path: string): string | undefined {
  const subscript = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (subscript) return metadata[subscript[1] as 'labels' | 'annotations']?.[subscript[2]!] ?? '';
  switch (path) {
    case 'metadata.name':
      return metadata.name;
    case 'metadata.namespace':
      return metadata.namespace ?? '';
    case 'metadata.uid':
      return metadata.uid ?? '';
    case 'metadata.labels':
    case 'metadata.annotations':
      return Object.entries(metadata[path.slice('metadata.'.length) as 'labels' | 'annotations'] ?? {})
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
        .join('\n');
    default:
      return undefined;
  }
}
