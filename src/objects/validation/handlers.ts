// Rules for what is run against a container: probes and lifecycle hooks.
// biome-ignore-all lint: pod specs come over the wire
import type { StatusCause } from '../types/index.ts';
import { forbidden, invalid, invalids, notSupported, required } from './causes.ts';
import { negativeText, portName, portNumber } from './names.ts';

type Any = any;

const schemes = ['HTTP', 'HTTPS'];
const headerText =
  "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";

/** `kind` is the field that holds the probe. */
export function validateProbe(probe: Any, at: string, kind: string): StatusCause[] {
  const causes = validateHandler(probe, at);
  for (const field of ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold']) {
    if (probe[field] < 0) causes.push(invalid(`${at}.${field}`, probe[field], negativeText));
  }
  if (kind !== 'readinessProbe' && probe.successThreshold !== 1) {
    causes.push(invalid(`${at}.successThreshold`, probe.successThreshold, 'must be 1'));
  }
  return causes;
}

export function validateLifecycle({ postStart, preStop }: Any, at: string): StatusCause[] {
  return Object.entries({ postStart, preStop }).flatMap(([hook, handler]) => (handler ? validateHandler(handler, `${at}.${hook}`) : []));
}

/** Exactly one of the ways to act. */
function validateHandler(handler: Any, at: string): StatusCause[] {
  const given = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'].filter((way) => handler[way] !== undefined);
  const [first, ...others] = given;
  if (first === undefined) return [required(at, 'must specify a handler type')];
  const causes = validateAction(first, handler[first], `${at}.${first}`);
  return [...causes, ...others.map((way) => forbidden(`${at}.${way}`, 'may not specify more than 1 handler type'))];
}

function validateAction(way: string, action: Any, at: string): StatusCause[] {
  switch (way) {
    case 'exec':
      return (action.command ?? []).length === 0 ? [required(`${at}.command`)] : [];
    case 'httpGet':
      return validateHttpGet(action, at);
    case 'sleep':
      return action.seconds < 0 ? [invalid(at, action.seconds, 'must be greater than 0 and less than terminationGracePeriodSeconds')] : [];
    default:
      return validatePort(action.port, `${at}.port`);
  }
}

function validateHttpGet({ path = '', port, scheme, httpHeaders = [] }: Any, at: string): StatusCause[] {
  const causes = path === '' ? [required(`${at}.path`)] : [];
  causes.push(...validatePort(port, `${at}.port`));
  if (!schemes.includes(scheme)) causes.push(notSupported(`${at}.scheme`, scheme, schemes));
  for (const { name = '' } of httpHeaders) {
    if (!/^[-A-Za-z0-9]+$/.test(name)) causes.push(invalid(`${at}.httpHeaders`, name, headerText));
  }
  return causes;
}

const validatePort = (port: Any, at: string): StatusCause[] =>
  typeof port === 'string' ? invalids(at, port, portName(port)) : invalids(at, port ?? 0, portNumber(port));
