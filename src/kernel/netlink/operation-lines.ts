import { type LinkAddress, type LinkOperation, type LinkRoute, linkAddressText } from '../../dataplane/links.ts';

/**
 * The operations as lines for `ip -batch`, as few as possible: the settings of a link and those of the same link as a port of a bridge are one.
 * For one who does not need to tell which operation a line is of.
 */
export function fewestLines(operations: readonly LinkOperation[]): string[] {
  const lines: string[] = [];
  for (let index = 0; index < operations.length; index++) {
    const [port, link] = [operations[index]!, operations[index + 1]];
    const both = port.op === 'set-bridge-port' && link?.op === 'set-link' && link.name === port.name;
    const [own = ''] = operationLines(port);
    const [settings] = both ? operationLines(link) : [];
    if (settings !== undefined) {
      // The type and its settings are the end of a line.
      lines.push(`${settings}${own.slice(own.indexOf(' type '))}`);
      index++;
    } else lines.push(...operationLines(port));
  }
  return lines;
}

/** The operation as lines for `ip -batch`. @throws RangeError for a name or path that cannot be written on such a line. */
export function operationLines(operation: LinkOperation): string[] {
  switch (operation.op) {
    case 'ensure-bridge':
      // The MAC comes with the creation: a bridge without one of its own takes a port's and changes it when that port leaves.
      return [`link add name ${word(operation.name)} address ${operation.mac} mtu ${operation.mtu} type bridge`];
    case 'add-veth': {
      const { name, mac, mtu, master, peer } = operation;
      return [
        `link add name ${word(name)} address ${mac} mtu ${mtu}${master ? ` master ${word(master)}` : ''} type veth ` +
          `peer name ${word(peer.name)} address ${peer.mac} mtu ${peer.mtu} netns ${word(peer.namespace)}`,
      ];
    }
    case 'set-link': {
      const { name, up, mtu, alias, linkLocal, promisc } = operation;
      const settings: string[] = [];
      if (mtu !== undefined) settings.push(`mtu ${mtu}`);
      if (alias !== undefined) settings.push(`alias ${word(alias)}`);
      if (promisc !== undefined) settings.push(`promisc ${promisc ? 'on' : 'off'}`);
      if (linkLocal !== undefined) settings.push(`addrgenmode ${linkLocal ? 'eui64' : 'none'}`);
      if (up !== undefined) settings.push(up ? 'up' : 'down');
      return settings.length === 0 ? [] : [`link set dev ${word(name)} ${settings.join(' ')}`];
    }
    case 'set-bridge-port': {
      const { name, hairpin, isolated } = operation;
      const isolation = isolated === undefined ? '' : ` isolated ${isolated ? 'on' : 'off'}`;
      return [`link set dev ${word(name)} type bridge_slave hairpin ${hairpin ? 'on' : 'off'}${isolation}`];
    }
    case 'delete-link':
      return [`link delete dev ${word(operation.name)}`];
    case 'ensure-address': {
      const { address, device, detectDuplicates } = operation;
      return [`addr replace ${linkAddressText(address)} dev ${word(device)}${addressFlags(address, detectDuplicates)}`];
    }
    case 'delete-address':
      return [`addr delete ${linkAddressText(operation.address)} dev ${word(operation.device)}`];
    case 'ensure-route':
      return [`route replace ${routeWords(operation.route)}`];
    case 'delete-route':
      return [`route delete ${routeWords(operation.route)}`];
    case 'ensure-neighbour':
      return [
        `neigh replace ${operation.address.text} lladdr ${operation.mac} dev ${word(operation.device)} nud ${operation.permanent ? 'permanent' : 'reachable'}`,
      ];
    case 'forget-neighbour':
      // `neigh delete` of an unknown neighbour ends the whole batch (iproute2 6.1 calls exit); a flush that matches nothing does not.
      return [`neigh flush to ${operation.address.text} dev ${word(operation.device)}`];
  }
}

/** A /31 or /32 has no broadcast address. */
function addressFlags({ address, length }: LinkAddress, detectDuplicates: true | undefined): string {
  if (address.family === 6) return detectDuplicates ? '' : ' nodad';
  return length < 31 ? ' broadcast +' : '';
}

function routeWords({ destination, gateway, device, table, metric, mtu, advmss, scope }: LinkRoute): string {
  const words = [destination.text];
  if (gateway) words.push('via', gateway.text);
  if (device) words.push('dev', word(device));
  if (table !== undefined) words.push('table', String(table));
  if (metric !== undefined) words.push('metric', String(metric));
  if (scope !== undefined) words.push('scope', String(scope));
  if (mtu !== undefined) words.push('mtu', String(mtu));
  if (advmss !== undefined) words.push('advmss', String(advmss));
  return words.join(' ');
}

/** iproute2 splits a batch line at blanks, knows both quotes and no escapes, and takes # for a comment. */
function word(text: string): string {
  if (/^[\w.:/@+,=-]+$/.test(text)) return text;
  // oxlint-disable-next-line no-control-regex
  if (text !== '' && !/["\\\u0000-\u001f]/.test(text)) return `"${text}"`;
  throw new RangeError(`${JSON.stringify(text)} cannot be given to ip`);
}
