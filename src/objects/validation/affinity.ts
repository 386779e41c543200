// Rules for where a pod wants to be (the reference's validateAffinity and validateTopologySpreadConstraints).
// biome-ignore-all lint: pod specs come over the wire
import type { StatusCause } from '../types/index.ts';
import { duplicate, forbidden, invalid, invalids, notSupported, required } from './causes.ts';
import { validateLabelSelector } from './label-selector.ts';
import { dnsLabel, qualifiedName } from './names.ts';

type Any = any;

const requiredTerms = 'requiredDuringSchedulingIgnoredDuringExecution';
const preferredTerms = 'preferredDuringSchedulingIgnoredDuringExecution';

export function validateAffinity({ nodeAffinity, podAffinity, podAntiAffinity }: Any, at: string): StatusCause[] {
  const causes = nodeAffinity ? validateNodeAffinity(nodeAffinity, `${at}.nodeAffinity`) : [];
  for (const [name, affinity] of Object.entries({ podAffinity, podAntiAffinity })) {
    if (affinity) causes.push(...validatePodAffinity(affinity, `${at}.${name}`));
  }
  return causes;
}

function validateNodeAffinity(affinity: Any, at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  const terms: Any[] | undefined = affinity[requiredTerms] && (affinity[requiredTerms].nodeSelectorTerms ?? []);
  const field = `${at}.${requiredTerms}.nodeSelectorTerms`;
  if (terms?.length === 0) causes.push(required(field, 'must have at least one node selector term'));
  for (const [index, term] of (terms ?? []).entries()) causes.push(...validateNodeTerm(term, `${field}[${index}]`));
  for (const [index, { weight, preference = {} }] of (affinity[preferredTerms] ?? []).entries()) {
    causes.push(...validateWeight(weight, `${at}.${preferredTerms}[${index}].weight`));
    causes.push(...validateNodeTerm(preference, `${at}.${preferredTerms}[${index}].preference`));
  }
  return causes;
}

const validateWeight = (weight: number | undefined, at: string): StatusCause[] =>
  weight !== undefined && weight >= 1 && weight <= 100 ? [] : [invalid(at, weight ?? 0, 'must be in the range 1-100')];

function validateNodeTerm({ matchExpressions = [], matchFields = [] }: Any, at: string): StatusCause[] {
  return [
    ...matchExpressions.flatMap((one: Any, index: number) => validateNodeRequirement(one, `${at}.matchExpressions[${index}]`)),
    ...matchFields.flatMap((one: Any, index: number) => validateNodeField(one, `${at}.matchFields[${index}]`)),
  ];
}

function validateNodeRequirement({ key = '', operator = '', values = [] }: Any, at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0) causes.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length > 0) causes.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
  } else if (operator === 'Gt' || operator === 'Lt') {
    if (values.length !== 1) causes.push(required(`${at}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
  } else causes.push(invalid(`${at}.operator`, operator, 'not a valid selector operator'));
  return [...causes, ...invalids(`${at}.key`, key, qualifiedName(key))];
}

function validateNodeField({ key = '', operator = '', values = [] }: Any, at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  if (operator !== 'In' && operator !== 'NotIn') causes.push(invalid(`${at}.operator`, operator, 'not a valid selector operator'));
  else if (values.length !== 1) {
    causes.push(required(`${at}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"));
  }
  return key === 'metadata.name' ? causes : [...causes, invalid(`${at}.key`, key, 'not a valid field selector key')];
}

function validatePodAffinity(affinity: Any, at: string): StatusCause[] {
  return [
    ...(affinity[requiredTerms] ?? []).flatMap((term: Any, index: number) => validatePodTerm(term, `${at}.${requiredTerms}[${index}]`)),
    ...(affinity[preferredTerms] ?? []).flatMap(({ weight, podAffinityTerm = {} }: Any, index: number) => [
      ...validateWeight(weight, `${at}.${preferredTerms}[${index}].weight`),
      ...validatePodTerm(podAffinityTerm, `${at}.${preferredTerms}[${index}].podAffinityTerm`),
    ]),
  ];
}

function validatePodTerm({ labelSelector, namespaceSelector, namespaces = [], topologyKey = '' }: Any, at: string): StatusCause[] {
  const causes = [
    ...validateLabelSelector(labelSelector, `${at}.labelSelector`),
    ...validateLabelSelector(namespaceSelector, `${at}.namespaceSelector`),
  ];
  for (const name of namespaces) causes.push(...invalids(`${at}.namespace`, name, dnsLabel(name)));
  if (topologyKey === '') causes.push(required(`${at}.topologyKey`, 'can not be empty'));
  return [...causes, ...invalids(`${at}.topologyKey`, topologyKey, qualifiedName(topologyKey))];
}

const unsatisfiable = ['DoNotSchedule', 'ScheduleAnyway'];

export function validateTopologySpread(constraints: readonly Any[], at: string): StatusCause[] {
  const causes: StatusCause[] = [];
  const pairs = new Set<string>();
  for (const [index, { maxSkew = 0, topologyKey = '', whenUnsatisfiable = '', labelSelector }] of constraints.entries()) {
    const field = `${at}[${index}]`;
    if (maxSkew <= 0) causes.push(invalid(`${field}.maxSkew`, maxSkew, 'must be greater than zero'));
    if (topologyKey === '') causes.push(required(`${field}.topologyKey`, 'can not be empty'));
    else causes.push(...invalids(`${field}.topologyKey`, topologyKey, qualifiedName(topologyKey)));
    if (!unsatisfiable.includes(whenUnsatisfiable))
      causes.push(notSupported(`${field}.whenUnsatisfiable`, whenUnsatisfiable, unsatisfiable));
    const pair = `{${topologyKey}, ${whenUnsatisfiable}}`;
    if (pairs.has(pair)) causes.push(duplicate(`${field}.{topologyKey, whenUnsatisfiable}`, pair));
    pairs.add(pair);
    causes.push(...validateLabelSelector(labelSelector, `${field}.labelSelector`));
  }
  return causes;
}
