import { diffNamespace } from '../dataplane/links-diff.ts';
import type { LinkFailure, LinkOutcome } from '../dataplane/links.ts';
import {
  AddressesExhaustedError,
  beginRelease,
  holdsReservation,
  releaseAddresses,
  type ReservationRecord,
  type ReservationStore,
  reserveAddresses,
} from '../ipam/index.ts';
import { type AttachmentPlan, compileAttachment } from './compile.ts';
import { CniError, cniErrorCodes } from './errors.ts';
import type { Attachment } from './input.ts';
import { hostLinkName } from './names.ts';
import { checkNamespace } from './namespace.ts';
import type { PluginOptions } from './options.ts';
import type { CniPorts } from './ports.ts';
import { renderResult } from './render/result.ts';

/**
 * ADD (CNI spec 1.1.0, section 2). Two processes: one `ip` in the node's namespace, one in the pod's. Returns the result object.
 * A failure leaves neither address nor link. A half-done attachment of an ADD that was killed is taken over.
 */
export async function add(options: PluginOptions, attachment: Attachment, ports: CniPorts): Promise<object> {
  const netnsInode = checkNamespace(attachment.netns, ports);
  const store = ports.openStore(options.ipam.dataDir, options.name);
  const record = reserve(options, attachment, netnsInode, store, ports);
  const plan = compileAttachment(options, attachment, record.addresses);
  try {
    const bridgeMac = await attach(plan, attachment, ports);
    // A DEL that began meanwhile found no link to delete yet. It has announced itself before it looked, so one of the two sees the other.
    if (!holdsReservation(store, record))
      throw new CniError(cniErrorCodes.deletedMeanwhile, `${nameOf(attachment)} was deleted while it was being added`);
    return renderResult({ ...plan, bridge: { ...plan.bridge, mac: bridgeMac } }, options, attachment.netns);
  } catch (error) {
    if (!(error instanceof AlreadyAttachedError)) await undo(plan, record, store, ports);
    throw error;
  }
}

const nameOf = ({ containerId, ifname, pod }: Attachment): string => `${ifname} of container ${containerId}${pod ? ` (pod ${pod})` : ''}`;

class AlreadyAttachedError extends CniError {
  constructor(attachment: Attachment) {
    super(cniErrorCodes.interfaceExists, `${nameOf(attachment)} is attached already`, 'call DEL before another ADD; nothing was changed');
  }
}

function reserve(
  options: PluginOptions,
  attachment: Attachment,
  netnsInode: number,
  store: ReservationStore,
  ports: CniPorts,
): ReservationRecord {
  const { containerId, ifname, netns, pod } = attachment;
  try {
    return reserveAddresses(store, options.ipam.ranges, {
      containerId,
      ifname,
      network: options.name,
      ...(pod === undefined ? {} : { pod }),
      netns,
      netnsInode,
      hostLink: hostLinkName(containerId, ifname),
      bootId: ports.bootId,
      reservedAt: new Date(ports.now()).toISOString(),
    });
  } catch (error) {
    if (error instanceof AddressesExhaustedError) {
      throw new CniError(
        cniErrorCodes.addressesExhausted,
        `network ${options.name}: ${error.message}`,
        `reservations are kept in ${options.ipam.dataDir}`,
      );
    }
    throw error;
  }
}

/** Does the plan. Returns the MAC that the bridge really has. */
async function attach(plan: AttachmentPlan, attachment: Attachment, ports: CniPorts): Promise<string> {
  const show = [plan.bridge.name, plan.host.name];
  const pod = ports.pod(attachment.netns);
  let outcome = await ports.host.apply(plan.hostOperations, show);
  if (vethExists(outcome) && outcome.shown.links.has(plan.host.name)) {
    const drift = diffNamespace(plan.desiredPod, await pod.read([plan.pod.name]));
    if (drift.length === 0) throw new AlreadyAttachedError(attachment);
    outcome = await ports.host.apply([{ op: 'delete-link', name: plan.host.name }, ...plan.hostOperations], show);
  }
  if (vethExists(outcome)) {
    throw new CniError(cniErrorCodes.interfaceExists, `CNI_IFNAME=${plan.pod.name} exists in ${attachment.netns} and is not this plugin's`);
  }
  const bridge = outcome.shown.links.get(plan.bridge.name);
  if (bridge && bridge.kind !== 'bridge') {
    throw new CniError(
      cniErrorCodes.kernelRefused,
      `bridge: ${plan.bridge.name} exists and is ${bridge.kind ? `a ${bridge.kind}` : 'no bridge'}`,
    );
  }
  refuse(outcome, 'the node');
  refuse(await pod.apply(plan.podOperations), attachment.netns);
  return bridge?.mac ?? plan.bridge.mac;
}

const vethExists = ({ failures }: LinkOutcome): boolean =>
  failures.some(({ operation, reason }) => operation.op === 'add-veth' && reason === 'exists');

/** @throws CniError for the first failure */
export function refuse({ failures }: LinkOutcome, where: string): void {
  const [failure] = failures;
  if (failure)
    throw new CniError(
      cniErrorCodes.kernelRefused,
      `${failure.operation.op} in ${where}: ${failure.detail}`,
      JSON.stringify(failure.operation, plainAddresses),
    );
}

/** Addresses and prefixes as their text. */
const plainAddresses = (_key: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'text' in value ? (value as { text: unknown }).text : value;

/** Takes back what was done. When even that fails, the addresses stay taken, and DEL or the agent finishes it. */
async function undo(plan: AttachmentPlan, record: ReservationRecord, store: ReservationStore, ports: CniPorts): Promise<void> {
  try {
    beginRelease(store, record);
    const { failures } = await ports.host.apply(plan.undo);
    if (!failures.some(isDeletion)) releaseAddresses(store, record);
  } catch {
    // The error that led here is the one to report.
  }
}

const isDeletion = ({ operation }: LinkFailure): boolean => operation.op === 'delete-link';
