import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { renderKubeconfig } from '../kube/pki/kubeconfig-text.ts';
import { joinHostPort, nthAddress, parsePrefix } from '../net/index.ts';
import { apiServerPort, controlNode, credentialFiles } from './components.ts';
import type { LabLayout } from './layout.ts';
import type { Topology } from './topology.ts';

/** One file of credentials, and the node that needs it. The files of one node let nobody be another. */
export interface CredentialFile {
  readonly file: string;
  readonly text: string;
  readonly node: string;
}

/** Where the API server answers inside the lab. */
export const apiServerUrl = (topology: Topology): string => `https://${joinHostPort(controlNode(topology).addresses[0]!, apiServerPort)}`;

/**
 * Makes the lab's certificate authority, the API server's certificate and one client certificate per component. The authority's own key is
 * kept nowhere. `adminServer` is the URL in the administrator's kubeconfig.
 */
export async function makeCredentials(
  topology: Topology,
  layout: LabLayout,
  adminServer: string,
  now: number,
): Promise<readonly CredentialFile[]> {
  // Loaded here alone: it takes longer than all other work of `lab status` together.
  const { createCertificateAuthority } = await import('../kube/pki/authority.ts');
  const authority = await createCertificateAuthority(`podwire-${topology.name}-ca`, now);
  const files = credentialFiles(layout);
  const control = controlNode(topology);
  const apiServer = await authority.issueServer({
    commonName: 'kube-apiserver',
    dnsNames: [
      'localhost',
      control.name,
      'kubernetes',
      'kubernetes.default',
      'kubernetes.default.svc',
      `kubernetes.default.svc.${topology.clusterDomain}`,
    ],
    addresses: ['127.0.0.1', '::1', ...control.addresses, ...topology.serviceCIDRs.map((cidr) => nthAddress(parsePrefix(cidr), 1n).text)],
  });
  const server = apiServerUrl(topology);
  const kubeconfigs = [
    { file: layout.adminKubeconfig, user: 'kubernetes-admin', groups: ['system:masters'], server: adminServer, node: control.name },
    { file: files.controllersKubeconfig, user: 'system:kube-controller-manager', groups: [], server, node: control.name },
    ...topology.nodes.flatMap(({ name }) => [
      { file: layout.node(name).agentKubeconfig, user: `podwire:agent:${name}`, groups: ['podwire:agents'], server, node: name },
      { file: layout.node(name).runnerKubeconfig, user: `system:node:${name}`, groups: ['system:nodes'], server, node: name },
    ]),
  ];
  const made = [
    { file: files.certificateAuthority, text: authority.certificate, node: control.name },
    { file: files.apiServerCertificate, text: apiServer.certificate, node: control.name },
    { file: files.apiServerKey, text: apiServer.key, node: control.name },
  ];
  const rendered = kubeconfigs.map(async ({ file, user, groups, server: url, node }) => {
    const client = await authority.issueClient({ user, groups });
    const text = renderKubeconfig({
      cluster: `podwire-${topology.name}`,
      user,
      server: url,
      certificateAuthority: authority.certificate,
      client,
    });
    return { file, text, node };
  });
  return [...made, ...(await Promise.all(rendered))];
}

/** Writes a file that only its owner can read, in folders that only its owner can open. */
export async function writeSecret(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, text, { mode: 0o600 });
  // The mode above holds for new files only.
  await chmod(file, 0o600);
}
