import type { Toleration } from '../../objects/index.ts';
import type { AdmissionPlugin } from './admission.ts';

const seconds = 300;
const keys = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];

/** Pods stay five minutes on a node that is not ready or unreachable, unless they say otherwise (the reference's DefaultTolerationSeconds). */
export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  admit({ operation, kind, object, subresource }) {
    if (operation === 'DELETE' || kind.resource.plural !== 'pods' || subresource || !object?.spec) return [];
    const tolerations: Toleration[] = object.spec.tolerations ?? [];
    const missing = keys.filter(
      (key) => !tolerations.some((one) => (one.key === key || !one.key) && (one.effect === 'NoExecute' || !one.effect)),
    );
    if (missing.length > 0) {
      const added = missing.map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: seconds }));
      object.spec.tolerations = [...tolerations, ...added];
    }
    return [];
  },
};
