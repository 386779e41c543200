import { readReservation, type ReservationStore } from '../../ipam/index.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/log.ts';
import { networkOf } from '../extras.ts';
import { asObject, listField } from '../fields.ts';
import { listHostPorts } from '../host-port-claims.ts';
import { type NatPorts, removeNat, repairNat } from '../nat.ts';
import { parseOptions, type PluginOptions } from '../options.ts';

/** Milliseconds; less than the plugin trusts that rules are still there. */
const interval = 30_000;

export interface NatRepairParts {
  /** Text of the network configuration list; undefined when there is none. */
  readonly conflist: () => string | undefined;
  /** Reservations of the network. */
  readonly store: ReservationStore;
  readonly hostPorts: ReservationStore;
  readonly nat: NatPorts;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Looks after the NAT of a node's network from time to time: puts back what was flushed or changed, and gives back the host ports of pods that are
 * gone. With that, ADD knows that the masquerade rule is in place without asking nft.
 */
export function startNatRepair({ conflist, store, hostPorts, nat, clock, log }: NatRepairParts): { stop(): Promise<void> } {
  let stopped = false;
  let turn: Promise<void> = Promise.resolve();
  async function repair(): Promise<void> {
    try {
      const options = readOptions(conflist());
      if (!options) return;
      for (const record of listHostPorts(hostPorts, options.name)) {
        // Ports are claimed after addresses and given back before them.
        if (options.ipam.source !== 'own' || readReservation(store, record)) continue;
        await removeNat(record, hostPorts, nat);
        log.info({ containerId: record.containerId, pod: record.pod }, 'released the host ports of a pod that is gone');
      }
      if (await repairNat(networkOf(options), hostPorts, nat))
        log.warn({ network: options.name }, 'put NAT rules back that were missing or changed');
    } catch (error) {
      log.warn({ err: error }, 'cannot look after the NAT rules; trying again');
    }
  }
  let cancel = (): void => undefined;
  const next = (): void => {
    turn = repair().then(() => {
      if (!stopped) cancel = clock.setTimer(interval, next);
    });
  };
  next();
  return {
    async stop() {
      stopped = true;
      cancel();
      await turn;
    },
  };
}

/** The options of the list's first plugin, which is ours. */
function readOptions(text: string | undefined): PluginOptions | undefined {
  if (text === undefined) return undefined;
  const list = asObject(JSON.parse(text), 'the network configuration list');
  const [plugin] = listField(list, 'plugins').map((entry) => asObject(entry, 'plugins[0]'));
  return plugin && parseOptions({ ...plugin, name: list['name'], cniVersion: list['cniVersion'] });
}
