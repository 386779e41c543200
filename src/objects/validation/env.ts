// Rules for a container's environment (the reference's ValidateEnv and ValidateEnvFrom).
// biome-ignore-all lint: pod specs come over the wire
import type { StatusCause } from '../types/index.ts';
import { invalid, invalids, notSupported, required } from './causes.ts';
import { configMapKey, dnsSubdomain, envVarName, qualifiedName } from './names.ts';

type Any = any;

const fieldPaths = [
  ...['metadata.name', 'metadata.namespace', 'metadata.uid', 'spec.nodeName', 'spec.serviceAccountName'],
  ...['status.hostIP', 'status.hostIPs', 'status.podIP', 'status.podIPs'],
];
/** What can be converted but is no field that a variable may hold. */
const convertible = ['metadata.annotations', 'metadata.labels', 'spec.restartPolicy', 'spec.schedulerName', 'status.phase'];
const resources = [
  ...['limits.cpu', 'limits.ephemeral-storage', 'limits.memory', 'requests.cpu', 'requests.ephemeral-storage', 'requests.memory'],
];

export function validateEnv(variables: readonly Any[], at: string): StatusCause[] {
  return variables.flatMap((variable, index) => {
    const field = `${at}[${index}]`;
    const name = variable.name ?? '';
    const causes = name === '' ? [required(`${field}.name`)] : invalids(`${field}.name`, name, envVarName(name));
    return variable.valueFrom ? [...causes, ...validateSource(variable, `${field}.valueFrom`)] : causes;
  });
}

function validateSource({ value, valueFrom }: Any, at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
  if (fieldRef) causes.push(...validateFieldRef(fieldRef, `${at}.fieldRef`));
  if (resourceFieldRef) causes.push(...validateResourceRef(resourceFieldRef, `${at}.resourceFieldRef`));
  if (configMapKeyRef) causes.push(...validateKeyRef(configMapKeyRef, `${at}.configMapKeyRef`));
  if (secretKeyRef) causes.push(...validateKeyRef(secretKeyRef, `${at}.secretKeyRef`));
  const sources = Object.keys(valueFrom).length;
  if (sources === 0) {
    causes.push(invalid(at, '', 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`'));
  } else if (value) causes.push(invalid(at, '', 'may not be specified when `value` is not empty'));
  else if (sources > 1) causes.push(invalid(at, '', 'may not have more than one field specified at a time'));
  return causes;
}

/** A field of the pod, such as `metadata.labels['app']`. */
export function validateFieldRef({ apiVersion, fieldPath = '' }: Any, at: string, paths: readonly string[] = fieldPaths): StatusCause[] {
  if (!apiVersion) return [required(`${at}.apiVersion`)];
  if (fieldPath === '') return [required(`${at}.fieldPath`)];
  const [, path = fieldPath, key] = /^(.*)\['([^']*)'\]$/s.exec(fieldPath) ?? [];
  if (key !== undefined) {
    if (path === 'metadata.annotations') return invalids(at, key, qualifiedName(key.toLowerCase()));
    if (path === 'metadata.labels') return invalids(at, key, qualifiedName(key));
  }
  const known = key === undefined && (paths.includes(path) || convertible.includes(path));
  if (!known) return [invalid(`${at}.fieldPath`, fieldPath, `error converting fieldPath: field label not supported: ${fieldPath}`)];
  return paths.includes(path) ? [] : [notSupported(`${at}.fieldPath`, path, paths.toSorted())];
}

function validateResourceRef({ resource = '' }: Any, at: string): StatusCause[] {
  if (resource === '') return [required(`${at}.resource`)];
  if (resources.includes(resource) || /^(?:limits|requests)\.hugepages-/.test(resource)) return [];
  return [notSupported(`${at}.resource`, resource, resources)];
}

function validateKeyRef({ name = '', key = '' }: Any, at: string): StatusCause[] {
  const causes = invalids(`${at}.name`, name, dnsSubdomain(name));
  return [...causes, ...(key === '' ? [required(`${at}.key`)] : invalids(`${at}.key`, key, configMapKey(key)))];
}

export function validateEnvFrom(sources: readonly Any[], at: string): StatusCause[] {
  return sources.flatMap(({ prefix, configMapRef, secretRef }, index) => {
    const field = `${at}[${index}]`;
    const causes = prefix ? invalids(`${field}.prefix`, prefix, envVarName(prefix)) : [];
    for (const [source, ref] of Object.entries({ configMapRef, secretRef })) {
      if (ref && !ref.name) causes.push(required(`${field}.${source}.name`));
      else if (ref) causes.push(...invalids(`${field}.${source}.name`, ref.name, dnsSubdomain(ref.name)));
    }
    if (!configMapRef && !secretRef) causes.push(invalid(at, '', 'must specify one of: `configMapRef` or `secretRef`'));
    else if (configMapRef && secretRef) causes.push(invalid(at, '', 'may not have more than one field specified at a time'));
    return causes;
  });
}
