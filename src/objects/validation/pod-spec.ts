// Rules for a PodSpec, in pods and in templates (the reference's pkg/apis/core/validation). The schema has been checked before.
// biome-ignore-all lint: pod specs come over the wire
import type { StatusCause } from '../types/index.ts';
import { duplicate, forbidden, invalid, invalids, notSupported, required } from './causes.ts';
import { validateLabels } from './metadata.ts';
import { dnsLabel, dnsSubdomain, envVarName, ipAddress, negativeText, portName, portNumber, qualifiedName } from './names.ts';

type Any = any;

const protocols = ['TCP', 'UDP', 'SCTP'];
const pullPolicies = ['Always', 'IfNotPresent', 'Never'];
const dnsPolicies = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];

/** What is wrong with the pod spec at the path `at`. Defaults have been applied. */
export function validatePodSpec(spec: Any, at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  const containers: Any[] = spec.containers ?? [];
  if (containers.length === 0) causes.push(required(`${at}.containers`));
  const names = new Set<string>();
  const volumes = new Set<string>((spec.volumes ?? []).map((volume: Any) => volume.name));
  causes.push(...validateVolumes(spec.volumes ?? [], `${at}.volumes`));
  for (const list of ['initContainers', 'containers'] as const) {
    for (const [index, container] of (spec[list] ?? []).entries()) {
      causes.push(...validateContainer(container, `${at}.${list}[${index}]`, names, volumes, list === 'initContainers'));
    }
  }
  causes.push(...validateHostPorts(containers, `${at}.containers`, spec.hostNetwork === true));
  if (!['Always', 'OnFailure', 'Never'].includes(spec.restartPolicy)) {
    causes.push(
      spec.restartPolicy
        ? notSupported(`${at}.restartPolicy`, spec.restartPolicy, ['Always', 'OnFailure', 'Never'])
        : required(`${at}.restartPolicy`),
    );
  }
  if (!dnsPolicies.includes(spec.dnsPolicy)) {
    causes.push(spec.dnsPolicy ? notSupported(`${at}.dnsPolicy`, spec.dnsPolicy, dnsPolicies) : required(`${at}.dnsPolicy`));
  }
  causes.push(...validateDns(spec, `${at}.dnsConfig`));
  causes.push(...validateLabels(spec.nodeSelector, `${at}.nodeSelector`));
  causes.push(...validateTolerations(spec.tolerations ?? [], `${at}.tolerations`));
  if (spec.nodeName) causes.push(...invalids(`${at}.nodeName`, spec.nodeName, dnsSubdomain(spec.nodeName)));
  if (spec.serviceAccountName)
    causes.push(...invalids(`${at}.serviceAccountName`, spec.serviceAccountName, dnsSubdomain(spec.serviceAccountName)));
  if (spec.hostname) causes.push(...invalids(`${at}.hostname`, spec.hostname, dnsLabel(spec.hostname)));
  if (spec.subdomain) causes.push(...invalids(`${at}.subdomain`, spec.subdomain, dnsLabel(spec.subdomain)));
  for (const [index, { ip, hostnames = [] }] of (spec.hostAliases ?? []).entries()) {
    causes.push(...invalids(`${at}.hostAliases[${index}].ip`, ip ?? '', ipAddress(ip ?? '')));
    for (const [position, name] of hostnames.entries()) {
      causes.push(...invalids(`${at}.hostAliases[${index}].hostnames[${position}]`, name, dnsSubdomain(name)));
    }
  }
  if (spec.activeDeadlineSeconds !== undefined && (spec.activeDeadlineSeconds < 1 || spec.activeDeadlineSeconds > 2_147_483_647)) {
    causes.push(invalid(`${at}.activeDeadlineSeconds`, spec.activeDeadlineSeconds, 'must be between 1 and 2147483647, inclusive'));
  }
  if (spec.terminationGracePeriodSeconds < 0) {
    causes.push(invalid(`${at}.terminationGracePeriodSeconds`, spec.terminationGracePeriodSeconds, negativeText));
  }
  return causes;
}

function validateContainer(container: Any, at: string, names: Set<string>, volumes: ReadonlySet<string>, init: boolean): StatusCause[] {
  const causes: StatusCause[] = [];
  const { name = '', image = '' } = container;
  if (name === '') causes.push(required(`${at}.name`));
  else causes.push(...invalids(`${at}.name`, name, dnsLabel(name)));
  if (name !== '' && names.has(name)) causes.push(duplicate(`${at}.name`, name));
  names.add(name);
  if (image === '') causes.push(required(`${at}.image`));
  else if (image !== image.trim()) causes.push(invalid(`${at}.image`, image, 'must not have leading or trailing whitespace'));
  if (!pullPolicies.includes(container.imagePullPolicy)) {
    causes.push(
      container.imagePullPolicy
        ? notSupported(`${at}.imagePullPolicy`, container.imagePullPolicy, pullPolicies)
        : required(`${at}.imagePullPolicy`),
    );
  }
  causes.push(...validateContainerPorts(container.ports ?? [], `${at}.ports`));
  for (const [index, variable] of (container.env ?? []).entries()) causes.push(...validateEnv(variable, `${at}.env[${index}]`));
  const mountPaths = new Set<string>();
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const field = `${at}.volumeMounts[${index}]`;
    if (!mount.name) causes.push(required(`${field}.name`));
    else if (!volumes.has(mount.name))
      causes.push({ reason: 'FieldValueNotFound', message: `Not found: ${JSON.stringify(mount.name)}`, field: `${field}.name` });
    if (!mount.mountPath) causes.push(required(`${field}.mountPath`));
    else if (mountPaths.has(mount.mountPath)) causes.push(invalid(`${field}.mountPath`, mount.mountPath, 'must be unique'));
    mountPaths.add(mount.mountPath);
  }
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
    if (!container[probe]) continue;
    if (init && container.restartPolicy !== 'Always') {
      causes.push(forbidden(`${at}.${probe}`, 'may not be set for init containers without restartPolicy=Always'));
    } else causes.push(...validateProbe(container[probe], `${at}.${probe}`, probe));
  }
  return causes;
}

function validateContainerPorts(ports: readonly Any[], at: string): StatusCause[] {
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

function validateHostPorts(containers: readonly Any[], at: string, hostNetwork: boolean): StatusCause[] {
  const causes: StatusCause[] = [];
  const used = new Set<string>();
  for (const [index, container] of containers.entries()) {
    for (const [position, port] of (container.ports ?? []).entries()) {
      if (!port.hostPort) continue;
      const field = `${at}[${index}].ports[${position}]`;
      const key = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`;
      if (used.has(key)) causes.push(duplicate(`${field}.hostPort`, key));
      used.add(key);
      if (hostNetwork && port.hostPort !== port.containerPort) {
        causes.push(invalid(`${field}.containerPort`, port.containerPort, 'must match `hostPort` when `hostNetwork` is true'));
      }
    }
  }
  return causes;
}

function validateEnv(variable: Any, at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  if (!variable.name) causes.push(required(`${at}.name`));
  else causes.push(...invalids(`${at}.name`, variable.name, envVarName(variable.name)));
  const { valueFrom } = variable;
  if (!valueFrom) return causes;
  const sources = Object.keys(valueFrom).length;
  if (sources === 0)
    causes.push(invalid(`${at}.valueFrom`, '', 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`'));
  if (sources > 1) causes.push(invalid(`${at}.valueFrom`, '', 'may not have more than one field specified at a time'));
  if (sources > 0 && variable.value) causes.push(invalid(`${at}.valueFrom`, '', 'may not be specified when `value` is not empty'));
  if (valueFrom.fieldRef && !valueFrom.fieldRef.fieldPath) causes.push(required(`${at}.valueFrom.fieldRef.fieldPath`));
  return causes;
}

function validateProbe(probe: Any, at: string, kind: string): StatusCause[] {
  const causes: StatusCause[] = [];
  for (const field of ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold']) {
    if (probe[field] < 0) causes.push(invalid(`${at}.${field}`, probe[field], negativeText));
  }
  if (kind !== 'readinessProbe' && probe.successThreshold !== 1)
    causes.push(invalid(`${at}.successThreshold`, probe.successThreshold, 'must be 1'));
  const handlers = ['exec', 'httpGet', 'tcpSocket', 'grpc'].filter((handler) => probe[handler] !== undefined);
  if (handlers.length === 0) causes.push(required(at, 'must specify a handler type'));
  for (const handler of handlers.slice(1)) causes.push(forbidden(`${at}.${handler}`, 'may not specify more than 1 handler type'));
  if (probe.exec && (probe.exec.command ?? []).length === 0) causes.push(required(`${at}.exec.command`));
  for (const handler of ['httpGet', 'tcpSocket'] as const) {
    const port = probe[handler]?.port;
    if (!probe[handler]) continue;
    if (typeof port === 'string') causes.push(...invalids(`${at}.${handler}.port`, port, portName(port)));
    else causes.push(...invalids(`${at}.${handler}.port`, port ?? 0, portNumber(port)));
  }
  if (probe.httpGet && !['HTTP', 'HTTPS'].includes(probe.httpGet.scheme)) {
    causes.push(notSupported(`${at}.httpGet.scheme`, probe.httpGet.scheme, ['HTTP', 'HTTPS']));
  }
  return causes;
}

function validateVolumes(volumes: readonly Any[], at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  const names = new Set<string>();
  for (const [index, volume] of volumes.entries()) {
    const field = `${at}[${index}]`;
    if (!volume.name) causes.push(required(`${field}.name`));
    else causes.push(...invalids(`${field}.name`, volume.name, dnsLabel(volume.name)));
    if (names.has(volume.name)) causes.push(duplicate(`${field}.name`, volume.name));
    names.add(volume.name);
    const sources = Object.keys(volume).filter((key) => key !== 'name');
    for (const source of sources.slice(1)) causes.push(forbidden(`${field}.${source}`, 'may not specify more than 1 volume type'));
  }
  return causes;
}

function validateDns(spec: Any, at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  const nameservers: string[] = spec.dnsConfig?.nameservers ?? [];
  if (spec.dnsPolicy === 'None' && nameservers.length === 0) {
    causes.push(required(spec.dnsConfig ? `${at}.nameservers` : at, 'must provide at least one DNS nameserver when `dnsPolicy` is None'));
  }
  if (nameservers.length > 3) causes.push(invalid(`${at}.nameservers`, nameservers, 'must not have more than 3 nameservers'));
  for (const [index, server] of nameservers.entries()) causes.push(...invalids(`${at}.nameservers[${index}]`, server, ipAddress(server)));
  const searches: string[] = spec.dnsConfig?.searches ?? [];
  if (searches.length > 32) causes.push(invalid(`${at}.searches`, searches, 'must not have more than 32 search paths'));
  for (const [index, search] of searches.entries()) {
    const name = search.replace(/\.$/, '');
    if (search !== '.') causes.push(...invalids(`${at}.searches[${index}]`, search, dnsSubdomain(name)));
  }
  return causes;
}

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

function validateTolerations(tolerations: readonly Any[], at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  for (const [index, { key, operator, value, effect, tolerationSeconds }] of tolerations.entries()) {
    const field = `${at}[${index}]`;
    if (key) causes.push(...invalids(`${field}.key`, key, qualifiedName(key)));
    else if (operator !== 'Exists')
      causes.push(
        invalid(
          `${field}.operator`,
          operator ?? '',
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      );
    if (operator === 'Exists' && value) causes.push(invalid(`${field}.operator`, value, "value must be empty when `operator` is 'Exists'"));
    if (operator && operator !== 'Exists' && operator !== 'Equal')
      causes.push(notSupported(`${field}.operator`, operator, ['Equal', 'Exists']));
    if (effect && !effects.includes(effect)) causes.push(notSupported(`${field}.effect`, effect, effects));
    if (tolerationSeconds !== undefined && effect !== 'NoExecute') {
      causes.push(invalid(`${field}.effect`, effect ?? '', "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    }
  }
  return causes;
}
