import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { NetpolError } from './errors.ts';

/** Options of the policy daemon. Times are milliseconds. */
export const netpolOptionsSchema = Type.Object(
  {
    /** This node's name, as in Pod.spec.nodeName. */
    nodeName: Type.String({ minLength: 1, maxLength: 253 }),
    /** Name of the nftables table (family inet) that is all the daemon's own. */
    table: Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_.-]{0,63}$', default: 'podwire-netpol' }),
    /** At least this long between two syncs. */
    minSyncInterval: Type.Integer({ minimum: 0, maximum: 60_000, default: 20 }),
    /** How often the kernel's table is read and repaired when nothing else happens. */
    resyncInterval: Type.Integer({ minimum: 100, maximum: 3_600_000, default: 60_000 }),
  },
  { additionalProperties: false },
);

export type NetpolOptions = Readonly<Static<typeof netpolOptionsSchema>>;

/**
 * Fills in defaults and freezes.
 * @throws NetpolError (bad-option) naming the option and the reason.
 */
export function netpolOptions(given: Partial<NetpolOptions>): NetpolOptions {
  const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const options = Value.Default(netpolOptionsSchema, defined) as NetpolOptions;
  const [first] = Value.Errors(netpolOptionsSchema, options);
  if (first) throw new NetpolError('bad-option', `network policy option ${first.instancePath.slice(1) || '(all)'}: ${first.message}`);
  return Object.freeze({ ...options });
}
