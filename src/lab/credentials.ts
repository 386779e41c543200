import { createServiceAccountKeys } from '../kube/pki/service-account-keys.ts';
import { renderKubeconfig } from '../kube/pki/kubeconfig-text.ts';
import { joinHostPort, nthAddress, parsePrefix } from '../net/index.ts';
import { apiServerPort, controlNode, credentialFiles } from './components.ts';
import type { LabLayout } from './layout.ts';
import { agentsGroup, controllersUser, nodesGroup } from './roles.ts';
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
  const kubeletClient = await authority.issueClient({ user: 'kube-apiserver-kubelet-client', groups: [] });
  const serviceAccountKeys = createServiceAccountKeys();
  const server = apiServerUrl(topology);
  const kubeconfigs = [
    { file: layout.adminKubeconfig, user: 'kubernetes-admin', groups: ['system:masters'], server: adminServer, node: control.name },
    { file: files.controllersKubeconfig, user: controllersUser, groups: [], server, node: control.name },
    ...topology.nodes.flatMap(({ name }) => [
      { file: layout.node(name).agentKubeconfig, user: `podwire:agent:${name}`, groups: [agentsGroup], server, node: name },
      { file: layout.node(name).runnerKubeconfig, user: `system:node:${name}`, groups: [nodesGroup], server, node: name },
    ]),
  ];
  const made = [
    { file: files.certificateAuthority, text: authority.certificate, node: control.name },
    { file: files.apiServerCertificate, text: apiServer.certificate, node: control.name },
    { file: files.apiServerKey, text: apiServer.key, node: control.name },
    { file: files.kubeletClientCertificate, text: kubeletClient.certificate, node: control.name },
    { file: files.kubeletClientKey, text: kubeletClient.key, node: control.name },
    { file: files.serviceAccountKey, text: serviceAccountKeys.privateKey, node: control.name },
    { file: files.serviceAccountPublicKey, text: serviceAccountKeys.publicKey, node: control.name },
  ];
  const kubeletFiles = topology.nodes.map(async ({ name, addresses }) => {
    const paths = layout.node(name);
    const serving = await authority.issueServer({ commonName: `system:node:${name}`, dnsNames: [name], addresses });
    return [
      { file: paths.runnerCertificate, text: serving.certificate, node: name },
      { file: paths.runnerKey, text: serving.key, node: name },
      { file: paths.runnerClientCA, text: authority.certificate, node: name },
    ];
  });
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
  return [...made, ...(await Promise.all(rendered)), ...(await Promise.all(kubeletFiles)).flat()];
}
