// Rules for a PodSpec, in pods and in templates (the reference's pkg/apis/core/validation). The schema has been checked before.
// biome-ignore-all lint: pod specs come over the wire
import type { StatusCause } from '../types/index.ts';
import { validateAffinity, validateTopologySpread } from './affinity.ts';
import { duplicate, invalid, invalids, notSupported, required } from './causes.ts';
import { protocols, validateContainer, validateId } from './container.ts';
import { validateLabels } from './metadata.ts';
import { dnsLabel, dnsSubdomain, ipAddress, labelValueRule, qualifiedName } from './names.ts';
import { validateVolumes } from './volumes.ts';

type Any = any;

const dnsPolicies = ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'];
const restartPolicies = ['Always', 'OnFailure', 'Never'];
const maxDeadline = 2_147_483_647;
const sysctlName = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/;

/** What is wrong with the pod spec at the path `at`. Defaults have been applied. */
export function validatePodSpec(spec: Any, at: string): StatusCause[] {
  return [
    ...validateContainers(spec, at),
    ...validateSettings(spec, at),
    ...validateDns(spec, `${at}.dnsConfig`),
    ...validateNames(spec, at),
    ...validateLabels(spec.nodeSelector, `${at}.nodeSelector`),
    ...validateTolerations(spec.tolerations ?? [], `${at}.tolerations`),
    ...validateAffinity(spec.affinity ?? {}, `${at}.affinity`),
    ...validateTopologySpread(spec.topologySpreadConstraints ?? [], `${at}.topologySpreadConstraints`),
    ...validateHostAliases(spec.hostAliases ?? [], `${at}.hostAliases`),
    ...validateSecurityContext(spec, `${at}.securityContext`),
  ];
}

function validateContainers(spec: Any, at: string): StatusCause[] {
  const causes = validateVolumes(spec.volumes ?? [], `${at}.volumes`);
  const containers: Any[] = spec.containers ?? [];
  if (containers.length === 0) causes.push(required(`${at}.containers`));
  const context = { names: new Set<string>(), volumes: new Set<string>((spec.volumes ?? []).map((volume: Any) => volume.name ?? '')) };
  for (const list of ['containers', 'initContainers'] as const) {
    for (const [index, container] of (spec[list] ?? []).entries()) {
      causes.push(...validateContainer(container, `${at}.${list}[${index}]`, context, list === 'initContainers'));
    }
  }
  return [...causes, ...validateHostPorts(containers, `${at}.containers`, spec.hostNetwork === true)];
}

function validateHostPorts(containers: readonly Any[], at: string, hostNetwork: boolean): StatusCause[] {
  const causes: StatusCause[] = [];
  const used = new Set<string>();
  for (const [index, container] of containers.entries()) {
    for (const [position, port] of (container.ports ?? []).entries()) {
      if (!port.hostPort) continue;
      const field = `${at}[${index}].ports[${position}]`;
      const key = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`;
      if (used.has(key) && protocols.includes(port.protocol)) causes.push(duplicate(`${field}.hostPort`, key));
      used.add(key);
      if (hostNetwork && port.hostPort !== port.containerPort) {
        causes.push(invalid(`${field}.containerPort`, port.containerPort, 'must match `hostPort` when `hostNetwork` is true'));
      }
    }
  }
  return causes;
}

function validateSettings({ restartPolicy, dnsPolicy, activeDeadlineSeconds }: Any, at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  for (const [field, value, values] of [
    ['restartPolicy', restartPolicy, restartPolicies],
    ['dnsPolicy', dnsPolicy, dnsPolicies],
  ]) {
    if (!values.includes(value)) causes.push(value ? notSupported(`${at}.${field}`, value, values) : required(`${at}.${field}`));
  }
  if (activeDeadlineSeconds !== undefined && (activeDeadlineSeconds < 1 || activeDeadlineSeconds > maxDeadline)) {
    causes.push(invalid(`${at}.activeDeadlineSeconds`, activeDeadlineSeconds, `must be between 1 and ${maxDeadline}, inclusive`));
  }
  return causes;
}

function validateNames(spec: Any, at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  for (const field of ['nodeName', 'serviceAccountName', 'priorityClassName', 'runtimeClassName'] as const) {
    if (spec[field]) causes.push(...invalids(`${at}.${field}`, spec[field], dnsSubdomain(spec[field])));
  }
  for (const field of ['hostname', 'subdomain'] as const) {
    if (spec[field]) causes.push(...invalids(`${at}.${field}`, spec[field], dnsLabel(spec[field])));
  }
  for (const [index, { conditionType = '' }] of (spec.readinessGates ?? []).entries()) {
    causes.push(...invalids(`${at}.readinessGates[${index}].conditionType`, conditionType, qualifiedName(conditionType)));
  }
  return causes;
}

function validateDns({ dnsPolicy, dnsConfig }: Any, at: string): StatusCause[] {
  if (dnsPolicy === 'None' && !dnsConfig) return [required(at, 'must provide `dnsConfig` when `dnsPolicy` is None')];
  const causes: StatusCause[] = [];
  const { nameservers = [], searches = [], options = [] } = dnsConfig ?? {};
  if (dnsPolicy === 'None' && nameservers.length === 0) {
    causes.push(required(`${at}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None'));
  }
  if (nameservers.length > 3) causes.push(invalid(`${at}.nameservers`, nameservers, 'must not have more than 3 nameservers'));
  for (const [index, server] of nameservers.entries()) causes.push(...invalids(`${at}.nameservers[${index}]`, server, ipAddress(server)));
  if (searches.length > 32) causes.push(invalid(`${at}.searches`, searches, 'must not have more than 32 search paths'));
  for (const [index, search] of searches.entries()) {
    const name = search.replace(/\.$/, '');
    if (search !== '.') causes.push(...invalids(`${at}.searches[${index}]`, name, dnsSubdomain(name)));
  }
  for (const [index, { name }] of options.entries()) {
    if (!name) causes.push(required(`${at}.options[${index}]`, 'must not be empty'));
  }
  return causes;
}

function validateHostAliases(aliases: readonly Any[], at: string): StatusCause[] {
  return aliases.flatMap(({ ip = '', hostnames = [] }, index) => [
    ...invalids(`${at}[${index}].ip`, ip, ipAddress(ip)),
    ...hostnames.flatMap((name: string, position: number) => invalids(`${at}[${index}].hostnames[${position}]`, name, dnsSubdomain(name))),
  ]);
}

function validateSecurityContext({ securityContext = {}, hostPID, shareProcessNamespace }: Any, at: string): StatusCause[] {
  const { runAsUser, runAsGroup, fsGroup, supplementalGroups = [], sysctls = [] } = securityContext;
  const causes = Object.entries({ fsGroup, runAsUser, runAsGroup }).flatMap(([field, id]) => validateId(id, `${at}.${field}`));
  for (const [index, id] of supplementalGroups.entries()) causes.push(...validateId(id, `${at}.supplementalGroups[${index}]`));
  if (hostPID && shareProcessNamespace) {
    causes.push(invalid(`${at}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled'));
  }
  const seen = new Set<string>();
  for (const [index, { name = '' }] of sysctls.entries()) {
    const field = `${at}.sysctls[${index}].name`;
    if (name === '') causes.push(required(field));
    else if (name.length > 253 || !sysctlName.test(name)) {
      const pattern = String.raw`([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?`;
      causes.push(invalid(field, name, `must have at most 253 characters and match regex ${pattern}`));
    } else if (seen.has(name)) causes.push(duplicate(field, name));
    seen.add(name);
  }
  return causes;
}

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function validateTolerations(tolerations: readonly Any[], at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  for (const [index, { key = '', operator = '', value = '', effect = '', tolerationSeconds }] of tolerations.entries()) {
    const field = `${at}[${index}]`;
    if (key) causes.push(...invalids(`${field}.key`, key, qualifiedName(key)));
    else if (operator !== 'Exists') {
      const text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"';
      causes.push(invalid(`${field}.operator`, operator, text));
    }
    if (tolerationSeconds !== undefined && effect !== 'NoExecute') {
      causes.push(invalid(`${field}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    }
    if (operator === '' || operator === 'Equal') causes.push(...invalids(`${field}.operator`, value, labelValueRule(value)));
    else if (operator !== 'Exists') causes.push(notSupported(`${field}.operator`, operator, ['Equal', 'Exists']));
    else if (value) {
      const shown = { Key: key, Operator: operator, Value: value, Effect: effect, TolerationSeconds: tolerationSeconds ?? null };
      causes.push(invalid(`${field}.operator`, shown, "value must be empty when `operator` is 'Exists'"));
    }
    if (effect && !effects.includes(effect)) causes.push(notSupported(`${field}.effect`, effect, effects));
  }
  return causes;
}
