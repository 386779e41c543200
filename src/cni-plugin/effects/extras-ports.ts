import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CommandRunner, inNetworkNamespace } from '../../kernel/command-runner.ts';
import { createConntrack, isMissingTool } from '../../kernel/conntrack.ts';
import { namespaceIdentity } from '../../kernel/namespace-identity.ts';
import { createNft } from '../../kernel/nft.ts';
import { createTrafficControl } from '../../kernel/tc.ts';
import { openClaimFiles } from '../../storage/claim-files.ts';
import type { ExtrasPorts } from '../extras.ts';

/** No network's folder: a network's name does not start with an underscore. */
const hostPortFolder = '_host-ports';

const routeLocalnet = (link: string): string => `/proc/sys/net/ipv4/conf/${link}/route_localnet`;

/** What masquerade, host ports and bandwidth limits need, in the network namespace of this process. */
export function systemExtrasPorts(runner: CommandRunner, bootId: string): ExtrasPorts {
  const conntrack = createConntrack(runner);
  return {
    nat: {
      nft: createNft(runner),
      async forgetUdpFlows(ports) {
        try {
          await conntrack.deleteUdpTo(ports);
        } catch (error) {
          // Without the tool a client that goes on sending from one port meets the old flow until it has been silent for 30 s.
          if (!isMissingTool(error)) throw error;
        }
      },
      nodeNamespace: namespaceIdentity('/proc/self/ns/net')?.inode ?? 0,
      now: () => Date.now(),
    },
    openHostPorts: (dataDir) => openClaimFiles(join(dataDir, hostPortFolder), bootId),
    qdiscs: (netns) => createTrafficControl(netns === undefined ? runner : inNetworkNamespace(runner, netns)),
    readRouteLocalnet(link) {
      try {
        return readFileSync(routeLocalnet(link), 'utf8').trim() === '1';
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    allowRouteLocalnet: (link) => writeFileSync(routeLocalnet(link), '1'),
  };
}
