import type { KubeClient } from '../kube/client.ts';
import { createKubeClient } from '../kube/http-client.ts';
import { loadKubeconfig } from '../kube/kubeconfig.ts';
import type { LabLayout } from './layout.ts';

/** A client with the rights of the lab's administrator, over the host's loopback port. Whoever makes it closes it. */
export const createAdminClient = ({ adminKubeconfig }: LabLayout): KubeClient =>
  createKubeClient(loadKubeconfig(adminKubeconfig), 'podwire-lab');
