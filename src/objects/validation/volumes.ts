// Rules for the volumes of a pod, as far as a lab's pods have them (the reference's validateVolumes).
// biome-ignore-all lint: pod specs come over the wire
import type { StatusCause } from '../types/index.ts';
import { duplicate, forbidden, invalid, invalids, notSupported, required } from './causes.ts';
import { validateFieldRef } from './env.ts';
import { configMapKey, dnsLabel, dnsSubdomain } from './names.ts';

type Any = any;

const hostPathTypes = ['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket'];
const downwardPaths = ['metadata.annotations', 'metadata.labels', 'metadata.name', 'metadata.namespace', 'metadata.uid'];
const modeText = 'must be a number between 0 and 0777 (octal), both inclusive';

export function validateVolumes(volumes: readonly Any[], at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  const names = new Set<string>();
  for (const [index, { name = '', ...sources }] of volumes.entries()) {
    const field = `${at}[${index}]`;
    const [first, ...others] = Object.keys(sources);
    if (first !== undefined) causes.push(...validateSource(first, sources[first], `${field}.${first}`));
    for (const source of others) causes.push(forbidden(`${field}.${source}`, 'may not specify more than 1 volume type'));
    if (name === '') causes.push(required(`${field}.name`));
    else causes.push(...invalids(`${field}.name`, name, dnsLabel(name)));
    if (names.has(name)) causes.push(duplicate(`${field}.name`, name));
    names.add(name);
  }
  return causes;
}

function validateSource(type: string, source: Any, at: string): StatusCause[] {
  switch (type) {
    case 'hostPath':
      return validateHostPath(source, at);
    case 'configMap':
      return [...(source.name ? [] : [required(`${at}.name`)]), ...validateFiles(source, at)];
    case 'secret':
      return [...(source.secretName ? [] : [required(`${at}.secretName`)]), ...validateFiles(source, at)];
    case 'downwardAPI':
      return [...validateMode(source.defaultMode, `${at}.defaultMode`), ...validateDownward(source.items ?? [], at)];
    case 'projected':
      return validateProjected(source, at);
    case 'persistentVolumeClaim':
      return source.claimName
        ? invalids(`${at}.claimName`, source.claimName, dnsSubdomain(source.claimName))
        : [required(`${at}.claimName`)];
    case 'nfs':
      return validateNfs(source, at);
    default:
      return [];
  }
}

function validateHostPath({ path = '', type = '' }: Any, at: string): StatusCause[] {
  if (path === '') return [required(`${at}.path`)];
  const causes = validateNoBacksteps(path, `${at}.path`);
  return hostPathTypes.includes(type) ? causes : [...causes, notSupported(`${at}.type`, type, hostPathTypes)];
}

function validateNfs({ server = '', path = '' }: Any, at: string): StatusCause[] {
  const causes = server === '' ? [required(`${at}.server`)] : [];
  if (path === '') causes.push(required(`${at}.path`));
  return path.startsWith('/') ? causes : [...causes, invalid(`${at}.path`, path, 'must be an absolute path')];
}

function validateFiles({ items = [], defaultMode }: Any, at: string): StatusCause[] {
  return [
    ...validateMode(defaultMode, `${at}.defaultMode`),
    ...items.flatMap((item: Any, index: number) => validateFile(item, `${at}.items[${index}]`)),
  ];
}

function validateFile({ key = '', path = '', mode }: Any, at: string): StatusCause[] {
  const causes = key === '' ? [required(`${at}.key`)] : invalids(`${at}.key`, key, configMapKey(key));
  causes.push(...(path === '' ? [required(`${at}.path`)] : validateLocalPath(path, `${at}.path`)));
  return [...causes, ...validateMode(mode, `${at}.mode`)];
}

const validateMode = (mode: unknown, at: string): StatusCause[] =>
  mode === undefined || ((mode as number) >= 0 && (mode as number) <= 0o777) ? [] : [invalid(at, mode, modeText)];

function validateDownward(items: readonly Any[], at: string): StatusCause[] {
  return items.flatMap(({ path = '', fieldRef, resourceFieldRef, mode }) => {
    const causes = path === '' ? [required(`${at}.path`)] : validateLocalPath(path, `${at}.path`);
    if (fieldRef) causes.push(...validateFieldRef(fieldRef, `${at}.fieldRef`, downwardPaths));
    if (fieldRef && resourceFieldRef) {
      causes.push(invalid(at, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'));
    } else if (!fieldRef && !resourceFieldRef) causes.push(required(at, 'one of fieldRef and resourceFieldRef is required'));
    return [...causes, ...validateMode(mode, `${at}.mode`)];
  });
}

function validateProjected({ sources = [], defaultMode }: Any, at: string): StatusCause[] {
  const causes = validateMode(defaultMode, `${at}.defaultMode`);
  for (const [index, source] of sources.entries()) {
    const field = `${at}.sources[${index}]`;
    const [type, ...others] = Object.keys(source);
    if (others.length > 0) causes.push(forbidden(field, 'may not specify more than 1 volume type'));
    if (type === 'secret' || type === 'configMap') {
      if (!source[type].name) causes.push(required(`${field}.${type}.name`));
      causes.push(...validateFiles({ items: source[type].items }, `${field}.${type}`));
    } else if (type === 'serviceAccountToken') causes.push(...validateTokenFile(source[type], `${field}.serviceAccountToken`));
  }
  return causes;
}

function validateTokenFile({ path = '', expirationSeconds }: Any, at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  if (expirationSeconds < 600)
    causes.push(invalid(`${at}.expirationSeconds`, expirationSeconds, 'may not specify a duration less than 10 minutes'));
  return [...causes, ...(path === '' ? [required(`${at}.path`)] : validateLocalPath(path, `${at}.path`))];
}

/** A path below a volume: relative, and nowhere up. */
export function validateLocalPath(path: string, at: string): StatusCause[] {
  const causes = path.startsWith('/') ? [invalid(at, path, 'must be a relative path')] : [];
  return [...causes, ...validateNoBacksteps(path, at)];
}

const validateNoBacksteps = (path: string, at: string): StatusCause[] =>
  path.split('/').includes('..') ? [invalid(at, path, "must not contain '..'")] : [];
