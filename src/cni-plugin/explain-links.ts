import type { LinkFailure, LinkOperation, LinkState, NamespaceState } from '../dataplane/links.ts';
import type { LinkPort } from './ports.ts';

/**
 * Links that are read and never changed: what is to be done is told to `record`, and the outcome is what the kernel would answer as far as that
 * depends on which links there are. @param real where the links are; undefined for a namespace that is not there, which then is an empty one
 */
export function explainedLinks(real: Pick<LinkPort, 'read'> | undefined, record: (operations: readonly LinkOperation[]) => void): LinkPort {
  const changed = new Map<string, LinkState | undefined>();
  const nothing: NamespaceState = { links: new Map(), routes: [], neighbours: [] };
  const read = async (names: readonly string[]): Promise<NamespaceState> => {
    const state = (await real?.read(names)) ?? nothing;
    const links = new Map(state.links);
    for (const name of names) {
      if (!changed.has(name)) continue;
      const link = changed.get(name);
      if (link) links.set(name, link);
      else links.delete(name);
    }
    return { ...state, links };
  };
  return {
    read,
    async apply(operations, show = []) {
      record(operations);
      const names = [...new Set([...operations.flatMap(linkOf), ...show])];
      const links = new Map((await read(names)).links);
      const failures: LinkFailure[] = [];
      const tolerated: LinkFailure[] = [];
      const refuse = (list: LinkFailure[], operation: LinkOperation, reason: 'exists' | 'missing'): void => {
        list.push({ operation, reason, detail: reason === 'exists' ? 'File exists' : 'Cannot find device' });
      };
      for (const operation of operations) {
        if (operation.op === 'delete-link') {
          if (!links.delete(operation.name)) refuse(tolerated, operation, 'missing');
          changed.set(operation.name, undefined);
        } else if (operation.op === 'ensure-bridge' || operation.op === 'add-veth') {
          if (links.has(operation.name)) refuse(operation.op === 'add-veth' ? failures : tolerated, operation, 'exists');
          else links.set(operation.name, madeBy(operation));
        } else if (operation.op === 'ensure-address') {
          const link = links.get(operation.device);
          if (link) links.set(operation.device, { ...link, addresses: [...link.addresses, operation.address] });
        }
      }
      for (const [name, link] of links) changed.set(name, link);
      return { failures, tolerated, shown: { links: new Map(show.flatMap((name) => entryOf(name, links.get(name)))), routes: [] } };
    },
  };
}

const linkOf = (operation: LinkOperation): string[] =>
  'name' in operation ? [operation.name] : 'device' in operation ? [operation.device] : [];

const entryOf = (name: string, link: LinkState | undefined): [string, LinkState][] => (link ? [[name, link]] : []);

const madeBy = ({ op, name, mac, mtu }: Extract<LinkOperation, { op: 'ensure-bridge' | 'add-veth' }>): LinkState => ({
  name,
  kind: op === 'add-veth' ? 'veth' : 'bridge',
  mac,
  mtu,
  up: true,
  addresses: [],
});
