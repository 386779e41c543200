import { diffNamespace } from '../dataplane/links-diff.ts';
import { type LinkFailure, type LinkOperation, type LinkOutcome, type LinkState, linkAddressText } from '../dataplane/links.ts';
import { isReserved, readReservation, type ReservationRecord, type ReservationStore } from '../ipam/index.ts';
import { addressesInTheWay } from './bridge-addresses.ts';
import { type AttachmentPlan, compileAttachment } from './compile.ts';
import { announceRelease, endFormerLife, forgetGuard } from './delete.ts';
import { CniError, cniErrorCodes } from './errors.ts';
import { applyExtras, compileExtras, removeExtras } from './extras.ts';
import type { Attachment } from './input.ts';
import { acquireLease, AlreadyAttachedError, deletedMeanwhile, releaseLease } from './leases.ts';
import { checkNamespace } from './namespace.ts';
import type { PluginOptions } from './options.ts';
import type { CniPorts, LinkPort } from './ports.ts';
import { refuse } from './refuse.ts';
import { renderResult } from './render/result.ts';

/**
 * ADD (CNI spec 1.1.0, section 2). Two processes: one `ip` in the node's namespace, one in the pod's. Returns the result object.
 * A failure leaves neither address nor link. A half-done attachment of an ADD that was killed is taken over.
 */
export async function add(options: PluginOptions, attachment: Attachment, ports: CniPorts): Promise<object> {
  const netnsInode = checkNamespace(attachment, ports);
  const store = ports.openStore(options.ipam.dataDir, options.name);
  // Between the agent's part and this one a DEL may have come and gone.
  if (ports.continuesAdd && readReservation(store, attachment)?.state !== 'reserved') throw deletedMeanwhile(attachment);
  if (!ports.continuesAdd) await endFormerLife(options, attachment, store, ports);
  const { record, lease } = await acquireLease(options, attachment, netnsInode, store, ports);
  const plan = compileAttachment(options, attachment, lease);
  try {
    const bridgeMac = await attach(options, plan, attachment, ports);
    await applyExtras(
      compileExtras(
        options,
        attachment,
        plan.addresses.map(({ address }) => address),
      ),
      ports,
    );
    // A DEL that began meanwhile found no link to delete yet. It has announced itself before it looked, so one of the two sees the other.
    if (!isReserved(store, record)) throw deletedMeanwhile(attachment);
    return renderResult(
      plan.bridge && bridgeMac ? { ...plan, bridge: { ...plan.bridge, mac: bridgeMac } } : plan,
      options,
      attachment.netns,
    );
  } catch (error) {
    if (!(error instanceof AlreadyAttachedError)) await undo(plan, record, options, store, ports);
    throw error;
  }
}

/** Does the plan. Returns the MAC that the bridge really has; undefined in mode ptp. */
async function attach(options: PluginOptions, plan: AttachmentPlan, attachment: Attachment, ports: CniPorts): Promise<string | undefined> {
  const show = [...(plan.bridge ? [plan.bridge.name] : []), plan.host.name];
  // Before the link is there: it never sends unguarded.
  if (options.macspoofchk) await ports.macGuard.allow(plan.host.name, plan.pod.mac);
  const pod = ports.pod(attachment.netns);
  let outcome = await ports.host.apply(plan.hostOperations, show);
  if (vethExists(outcome) && outcome.shown.links.has(plan.host.name)) {
    const drift = diffNamespace(plan.desiredPod, await pod.read([plan.pod.name]));
    if (drift.length === 0 && !ports.continuesAdd) throw new AlreadyAttachedError(attachment);
    outcome = await ports.host.apply([{ op: 'delete-link', name: plan.host.name }, ...plan.hostOperations], show);
  }
  if (vethExists(outcome)) {
    throw new CniError(cniErrorCodes.interfaceExists, `CNI_IFNAME=${plan.pod.name} exists in ${attachment.netns} and is not this plugin's`);
  }
  const bridge = plan.bridge && outcome.shown.links.get(plan.bridge.name);
  if (bridge && bridge.kind !== 'bridge') {
    throw new CniError(
      cniErrorCodes.kernelRefused,
      `bridge: ${bridge.name} exists and is ${bridge.kind ? `a ${bridge.kind}` : 'no bridge'}`,
    );
  }
  refuse(outcome, 'the node');
  if (bridge) await clearBridge(options, plan, bridge, ports);
  refuse(await pod.apply(plan.podOperations), attachment.netns);
  if (options.enabledad) await waitForDuplicateDetection(plan, pod, ports);
  return bridge?.mac ?? plan.bridge?.mac;
}

/** Addresses of the bridge that contradict its gateway addresses: somebody else's, or left from former ranges. */
async function clearBridge(
  { forceAddress }: PluginOptions,
  { gateways }: AttachmentPlan,
  bridge: LinkState,
  ports: CniPorts,
): Promise<void> {
  const wrong = addressesInTheWay(bridge.addresses, gateways);
  if (wrong.length === 0) return;
  if (!forceAddress)
    throw new CniError(
      cniErrorCodes.kernelRefused,
      `bridge: ${bridge.name} has ${wrong.map(linkAddressText).join(', ')}, which contradicts its gateway address ${gateways.map(linkAddressText).join(', ')}`,
      'forceAddress: true removes it',
    );
  const device = bridge.name;
  const operations: LinkOperation[] = [
    ...wrong.map((address): LinkOperation => ({ op: 'delete-address', device, address })),
    // Those of the same subnet that came later went with the first.
    ...gateways.map((address): LinkOperation => ({ op: 'ensure-address', device, address })),
  ];
  refuse(await ports.host.apply(operations), 'the node');
}

/** Milliseconds. One probe and the wait after it take about two seconds (RFC 4862, section 5.4). */
const detection = { interval: 50, limit: 6_000 } as const;

/** @throws CniError 102 naming the address that another host has */
async function waitForDuplicateDetection({ pod: { name } }: AttachmentPlan, pod: LinkPort, ports: CniPorts): Promise<void> {
  for (let waited = 0; ; waited += detection.interval) {
    const link = (await pod.read([name])).links.get(name);
    const unusable = link?.unusable ?? [];
    if (unusable.length === 0) return;
    const duplicate = unusable.find(({ reason }) => reason === 'duplicate');
    if (duplicate || waited >= detection.limit)
      throw new CniError(
        cniErrorCodes.kernelRefused,
        duplicate
          ? `enabledad: another host on the link of ${name} has ${duplicate.address.text}`
          : `enabledad: ${unusable.map(({ address }) => address.text).join(', ')} of ${name} is still tentative after ${detection.limit} ms`,
      );
    await ports.sleep(detection.interval);
  }
}

const vethExists = ({ failures }: LinkOutcome): boolean =>
  failures.some(({ operation, reason }) => operation.op === 'add-veth' && reason === 'exists');

/**
 * Takes back what was done, as much of it as can be; the error that led here is the one to report. What holds an address that cannot be given back
 * now is left for DEL or GC.
 */
async function undo(
  plan: AttachmentPlan,
  record: ReservationRecord,
  options: PluginOptions,
  store: ReservationStore,
  ports: CniPorts,
): Promise<void> {
  announceRelease(store, record);
  const isGone = await succeeds(async () => {
    const { failures } = await ports.host.apply(plan.undo);
    if (failures.some(isDeletion)) throw new Error('the link is there');
  });
  const isUnmapped = await succeeds(() => removeExtras(record, options.ipam.dataDir, ports));
  if (options.macspoofchk) await succeeds(() => forgetGuard(plan.host.name, ports));
  if (isGone && isUnmapped) await succeeds(() => releaseLease(options.ipam, record, store, ports));
}

const succeeds = (work: () => Promise<void>): Promise<boolean> =>
  work().then(
    () => true,
    () => false,
  );

const isDeletion = ({ operation }: LinkFailure): boolean => operation.op === 'delete-link';
