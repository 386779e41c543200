// Rules for one container of a pod (the reference's validateContainers). Defaults have been applied.
// biome-ignore-all lint: pod specs come over the wire
import type { StatusCause } from '../types/index.ts';
import { duplicate, forbidden, invalid, invalids, notSupported, required } from './causes.ts';
import { validateEnv, validateEnvFrom } from './env.ts';
import { validateLifecycle, validateProbe } from './handlers.ts';
import { dnsLabel, ipAddress, portName, portNumber } from './names.ts';
import { validateResources } from './quantities.ts';
import { validateLocalPath } from './volumes.ts';

type Any = any;

export const protocols = ['SCTP', 'TCP', 'UDP'];
const pullPolicies = ['Always', 'IfNotPresent', 'Never'];
const probes = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;
const maxId = 2_147_483_647;

/** What the containers of a pod have in common. */
export interface PodContext {
  /** Names that other containers have; the container's own is added. */
  readonly names: Set<string>;
  readonly volumes: ReadonlySet<string>;
}

/** `init` for one that runs before the others. */
export function validateContainer(container: Any, at: string, { names, volumes }: PodContext, init: boolean): StatusCause[] {
  const causes: StatusCause[] = [];
  const { name = '', image = '', imagePullPolicy, terminationMessagePolicy = 'File' } = container;
  if (name === '') causes.push(required(`${at}.name`));
  else causes.push(...invalids(`${at}.name`, name, dnsLabel(name)));
  if (name !== '' && names.has(name)) causes.push(duplicate(`${at}.name`, name));
  names.add(name);
  if (image === '') causes.push(required(`${at}.image`));
  else if (image !== image.trim()) causes.push(invalid(`${at}.image`, image, 'must not have leading or trailing whitespace'));
  if (!pullPolicies.includes(imagePullPolicy)) {
    const field = `${at}.imagePullPolicy`;
    causes.push(imagePullPolicy ? notSupported(field, imagePullPolicy, pullPolicies) : required(field));
  }
  if (terminationMessagePolicy !== 'File' && terminationMessagePolicy !== 'FallbackToLogsOnError') {
    causes.push(invalid(`${at}.terminationMessagePolicy`, terminationMessagePolicy, "must be 'File' or 'FallbackToLogsOnError'"));
  }
  causes.push(...validatePorts(container.ports ?? [], `${at}.ports`));
  causes.push(...validateEnv(container.env ?? [], `${at}.env`), ...validateEnvFrom(container.envFrom ?? [], `${at}.envFrom`));
  causes.push(...validateMounts(container.volumeMounts ?? [], `${at}.volumeMounts`, volumes));
  causes.push(...validateResources(container.resources ?? {}, `${at}.resources`));
  causes.push(...validateSecurityContext(container.securityContext ?? {}, `${at}.securityContext`));
  return [...causes, ...validateActions(container, at, init && container.restartPolicy !== 'Always')];
}

/** An init container ends by itself: nothing looks after it, unless it is a sidecar. */
function validateActions(container: Any, at: string, ends: boolean): StatusCause[] {
  const causes: StatusCause[] = [];
  if (container.lifecycle) {
    if (ends) causes.push(forbidden(`${at}.lifecycle`, 'may not be set for init containers without restartPolicy=Always'));
    else causes.push(...validateLifecycle(container.lifecycle, `${at}.lifecycle`));
  }
  for (const probe of probes) {
    if (!container[probe]) continue;
    if (ends) causes.push(forbidden(`${at}.${probe}`, 'may not be set for init containers without restartPolicy=Always'));
    else causes.push(...validateProbe(container[probe], `${at}.${probe}`, probe));
  }
  return causes;
}

function validatePorts(ports: readonly Any[], at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const field = `${at}[${index}]`;
    if (port.name) {
      causes.push(...invalids(`${field}.name`, port.name, portName(port.name)));
      if (names.has(port.name)) causes.push(duplicate(`${field}.name`, port.name));
      names.add(port.name);
    }
    if (!port.containerPort) causes.push(required(`${field}.containerPort`));
    else causes.push(...invalids(`${field}.containerPort`, port.containerPort, portNumber(port.containerPort)));
    if (port.hostPort) causes.push(...invalids(`${field}.hostPort`, port.hostPort, portNumber(port.hostPort)));
    if (!port.protocol) causes.push(required(`${field}.protocol`));
    else if (!protocols.includes(port.protocol)) causes.push(notSupported(`${field}.protocol`, port.protocol, protocols));
    if (port.hostIP) causes.push(...invalids(`${field}.hostIP`, port.hostIP, ipAddress(port.hostIP)));
  }
  return causes;
}

function validateMounts(mounts: readonly Any[], at: string, volumes: ReadonlySet<string>): StatusCause[] {
  const causes: StatusCause[] = [];
  const paths = new Set<string>();
  for (const [index, { name = '', mountPath = '', subPath, subPathExpr }] of mounts.entries()) {
    const field = `${at}[${index}]`;
    if (name === '') causes.push(required(`${field}.name`));
    if (!volumes.has(name))
      causes.push({ reason: 'FieldValueNotFound', message: `Not found: ${JSON.stringify(name)}`, field: `${field}.name` });
    if (mountPath === '') causes.push(required(`${field}.mountPath`));
    if (paths.has(mountPath)) causes.push(invalid(`${field}.mountPath`, mountPath, 'must be unique'));
    paths.add(mountPath);
    if (subPath) causes.push(...validateLocalPath(subPath, `${at}.subPath`));
    if (subPath && subPathExpr) causes.push(invalid(`${field}.subPathExpr`, subPathExpr, 'subPathExpr and subPath are mutually exclusive'));
    if (subPathExpr) causes.push(...validateLocalPath(subPathExpr, `${at}.subPathExpr`));
  }
  return causes;
}

/** A user or group number. */
export const validateId = (id: number | undefined, at: string): StatusCause[] =>
  id === undefined || (id >= 0 && id <= maxId) ? [] : [invalid(at, id, `must be between 0 and ${maxId}, inclusive`)];

function validateSecurityContext(context: Any, at: string): StatusCause[] {
  const causes = [...validateId(context.runAsUser, `${at}.runAsUser`), ...validateId(context.runAsGroup, `${at}.runAsGroup`)];
  if (context.allowPrivilegeEscalation !== false) return causes;
  if (context.privileged) {
    causes.push(invalid(at, context, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'));
  }
  if ((context.capabilities?.add ?? []).includes('CAP_SYS_ADMIN')) {
    causes.push(invalid(at, context, 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN'));
  }
  return causes;
}
