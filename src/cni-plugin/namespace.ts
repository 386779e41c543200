import { CniError, cniErrorCodes } from './errors.ts';
import type { Attachment } from './input.ts';
import type { CniPorts } from './ports.ts';

/** Inode number of the pod's network namespace. @throws CniError 4 when CNI_NETNS is none, or is the node's own and that was not asked for. */
export function checkNamespace({ netns, anyNamespace }: Pick<Attachment, 'netns' | 'anyNamespace'>, ports: CniPorts): number {
  const found = ports.namespaceIdentity(netns);
  if (!found) throw new CniError(cniErrorCodes.invalidEnvironment, `CNI_NETNS=${netns} does not exist`);
  if (!found.isNamespace) throw new CniError(cniErrorCodes.invalidEnvironment, `CNI_NETNS=${netns} is not a network namespace`);
  if (!anyNamespace && found.inode === ports.namespaceIdentity(ports.ownNamespace)?.inode) {
    throw new CniError(cniErrorCodes.invalidEnvironment, `CNI_NETNS=${netns} is the namespace of the node itself`);
  }
  return found.inode;
}
