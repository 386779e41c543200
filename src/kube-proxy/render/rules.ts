import type { ConntrackState, IptablesMatch, IptablesTarget, KnownRule, TransportProtocol } from '../../dataplane/iptables.ts';
import { addressBits, type Family, type Protocol } from '../../net/index.ts';

// Short names for the matches and targets the proxy uses.

export const rule = (matches: readonly IptablesMatch[], target: IptablesTarget): KnownRule => ({ matches, target });

export const comment = (text: string): IptablesMatch => ({ match: 'comment', text });
export const source = (prefix: string): IptablesMatch[] => prefixMatch('source', prefix);
export const destination = (prefix: string): IptablesMatch[] => prefixMatch('destination', prefix);
/** A prefix of length 0 matches everything, and iptables-save leaves it out. */
const prefixMatch = (match: 'source' | 'destination', prefix: string): IptablesMatch[] =>
  prefix.endsWith('/0') ? [] : [{ match, prefix }];
export const host = (address: string, family: Family): string => `${address}/${addressBits(family)}`;

export const toPort = (protocol: Protocol, port: number): IptablesMatch[] => {
  const name = protocol.toLowerCase() as TransportProtocol;
  return [
    { match: 'protocol', protocol: name },
    { match: 'dport', protocol: name, first: port, last: port },
  ];
};
export const sourceIsLocal: IptablesMatch = { match: 'addrtype', side: 'source', type: 'LOCAL' };
export const destinationIsLocal: IptablesMatch = { match: 'addrtype', side: 'destination', type: 'LOCAL' };
export const ctstate = (...states: ConntrackState[]): IptablesMatch => ({ match: 'ctstate', states });

export const jump = (chain: string): IptablesTarget => ({ target: 'jump', chain });
export const accept: IptablesTarget = { target: 'accept' };
export const drop: IptablesTarget = { target: 'drop' };
export const returns: IptablesTarget = { target: 'return' };
