import { stringify } from 'yaml';
import type { KeyPair } from './authority.ts';

export interface KubeconfigParts {
  readonly cluster: string;
  readonly user: string;
  readonly server: string;
  /** PEM. */
  readonly certificateAuthority: string;
  readonly client: KeyPair;
}

/** A kubeconfig with everything inline, as kubectl and all Kubernetes clients read it. Holds a private key: write it with mode 0600. */
export function renderKubeconfig({ cluster, user, server, certificateAuthority, client }: KubeconfigParts): string {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const context = `${user}@${cluster}`;
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: cluster, cluster: { server, 'certificate-authority-data': base64(certificateAuthority) } }],
    users: [{ name: user, user: { 'client-certificate-data': base64(client.certificate), 'client-key-data': base64(client.key) } }],
    contexts: [{ name: context, context: { cluster, user } }],
    'current-context': context,
  });
}
