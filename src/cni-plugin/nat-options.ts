import { CniError, cniErrorCodes } from './errors.ts';
import { type Fields, flagField, invalid, listField, numberField, textField } from './fields.ts';
import { parsePortMappings, type PortMapping } from './port-maps.ts';

/** Options of the reference bridge plugin (`ipMasq`) and of the reference portmap plugin (the others) that change NAT. */
export interface NatOptions {
  /** What pods send to outside of their network has the node's address. */
  readonly ipMasq: boolean;
  readonly portMappings: readonly PortMapping[];
  /** Masquerade host port traffic whose answer would not come back through the node: from 127.0.0.1 and from the pods of the network. */
  readonly snat: boolean;
  /** Masquerade all host port traffic. */
  readonly masqAll: boolean;
}

/**
 * `markMasqBit` and `externalSetMarkChain` are checked and have no effect: who is to be masqueraded is known without a mark.
 * @throws CniError 2 for what is not offered, 7 for what is wrong, naming key and value
 */
export function parseNatOptions(fields: Fields): NatOptions {
  for (const key of ['ipMasqBackend', 'backend']) {
    const backend = textField(fields, key);
    if (backend === 'iptables')
      throw new CniError(cniErrorCodes.unsupportedField, `${key}: "iptables" is not supported by this plugin; it uses nftables`);
    if (backend !== undefined && backend !== 'nftables') throw invalid(key, backend, 'is not a backend; use "nftables"');
  }
  for (const key of ['conditionsV4', 'conditionsV6']) {
    if (listField(fields, key).length > 0)
      throw new CniError(
        cniErrorCodes.unsupportedField,
        `${key}: ${JSON.stringify(fields[key])} is not supported by this plugin; use hostIP to narrow a port mapping`,
      );
  }
  const bit = numberField(fields, 'markMasqBit', { min: 0, max: 31 });
  if (textField(fields, 'externalSetMarkChain') !== undefined && bit !== undefined)
    throw invalid('markMasqBit', bit, 'and externalSetMarkChain exclude each other');
  return {
    ipMasq: flagField(fields, 'ipMasq'),
    portMappings: parsePortMappings(fields),
    snat: fields['snat'] === undefined || fields['snat'] === null || flagField(fields, 'snat'),
    masqAll: flagField(fields, 'masqAll'),
  };
}
