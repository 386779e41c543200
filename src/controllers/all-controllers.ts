import type { Controller } from './controller.ts';
import { daemonSetController } from './daemon-set/reconcile.ts';
import { deploymentController } from './deployment/reconcile.ts';
import { endpointsController } from './endpoints/legacy.ts';
import { endpointSliceMirroringController } from './endpoints/mirroring.ts';
import { endpointSliceController } from './endpoints/slices.ts';
import { garbageController } from './garbage.ts';
import { loadBalancerController } from './load-balancers/reconcile.ts';
import { namespaceController } from './namespaces/reconcile.ts';
import { rootCaController } from './namespaces/root-ca.ts';
import { type TokenSigner, serviceAccountTokenController } from './namespaces/service-account-tokens.ts';
import { serviceAccountController } from './namespaces/service-accounts.ts';
import { nodeCidrController } from './nodes/cidrs.ts';
import { evictionController } from './nodes/eviction.ts';
import { nodeLifecycleController } from './nodes/lifecycle.ts';
import { podCollectorController } from './nodes/pod-gc.ts';
import type { CheckedOptions } from './options.ts';
import { replicaSetController } from './replica-set/reconcile.ts';
import { schedulerController } from './scheduler/reconcile.ts';
import { serviceRepairController } from './service-repair.ts';
import { statefulSetController } from './stateful-set/reconcile.ts';

/** Every controller, as the options make them. Pure. */
export const allControllers = (options: CheckedOptions, sign: TokenSigner | undefined): readonly Controller[] => [
  nodeCidrController(options.ranges),
  nodeLifecycleController({ gracePeriod: options.nodeMonitorGracePeriod }),
  evictionController,
  podCollectorController(options),
  namespaceController,
  serviceAccountController,
  ...(sign ? [serviceAccountTokenController({ sign, certificate: options.rootCertificate || undefined })] : []),
  ...(options.rootCertificate ? [rootCaController(options.rootCertificate)] : []),
  deploymentController,
  replicaSetController,
  daemonSetController,
  statefulSetController,
  schedulerController,
  endpointSliceController,
  endpointsController,
  endpointSliceMirroringController,
  ...(options.pools.length > 0 ? [loadBalancerController(options)] : []),
  garbageController,
  serviceRepairController(options.ranges.serviceCidrs),
];
