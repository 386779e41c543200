// Rules for names, with the texts of apimachinery's util/validation. Each takes a value and gives what is wrong with it; empty when nothing is.
import { tryParseAddress, tryParsePrefix } from '../../net/index.ts';

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;
const label1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const qualified = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const labelValue = `(${qualified})?`;
const configKey = '[-._a-zA-Z0-9]+';

const patterns = {
  label: new RegExp(`^${label}$`),
  subdomain: new RegExp(`^${subdomain}$`),
  wildcard: new RegExp(`^\\*\\.${subdomain}$`),
  label1035: new RegExp(`^${label1035}$`),
  qualified: new RegExp(`^${qualified}$`),
  labelValue: new RegExp(`^${labelValue}$`),
  configKey: new RegExp(`^${configKey}$`),
};

const noMoreThan = (bytes: number) => `must be no more than ${bytes} bytes`;

function check(value: string, most: number, pattern: RegExp, text: string): string[] {
  const problems: string[] = [];
  if (Buffer.byteLength(value) > most) problems.push(noMoreThan(most));
  // A long hostile value is not matched against a pattern at all.
  if (value.length > 4096 || !pattern.test(value)) problems.push(text);
  return problems;
}

export type NameRule = (value: string) => string[];

export const dnsLabel: NameRule = (value) =>
  check(
    value,
    63,
    patterns.label,
    `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${label}')`,
  );

export const dnsSubdomain: NameRule = (value) =>
  check(
    value,
    253,
    patterns.subdomain,
    `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${subdomain}')`,
  );

export const wildcardSubdomain: NameRule = (value) =>
  check(
    value,
    253,
    patterns.wildcard,
    `a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.${subdomain}')`,
  );

export const dns1035Label: NameRule = (value) =>
  check(
    value,
    63,
    patterns.label1035,
    `a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '${label1035}')`,
  );

/** A name that only has to be usable in a URL path (RBAC names). */
export const pathSegment: NameRule = (value) => {
  const problems: string[] = [];
  if (value === '.' || value === '..') problems.push(`may not be '${value}'`);
  for (const part of ['/', '%']) if (value.includes(part)) problems.push(`may not contain '${part}'`);
  return problems;
};

/** A label or annotation key: a name of 63 characters with an optional DNS subdomain and `/` before it. */
export const qualifiedName: NameRule = (value) => {
  const parts = value.split('/');
  const nameText = `must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${qualified}')`;
  if (parts.length > 2) {
    return [`a qualified name ${nameText} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const name = parts.at(-1)!;
  const problems: string[] = [];
  if (parts.length === 2) {
    const prefix = parts[0]!;
    if (prefix === '') problems.push('prefix part must be non-empty');
    else problems.push(...dnsSubdomain(prefix).map((text) => `prefix part ${text}`));
  }
  if (name === '') problems.push('name part must be non-empty');
  return [...problems, ...check(name, 63, patterns.qualified, nameText).map((text) => `name part ${text}`)];
};

export const labelValueRule: NameRule = (value) =>
  check(
    value,
    63,
    patterns.labelValue,
    `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '${labelValue}')`,
  );

export const configMapKey: NameRule = (value) => {
  const problems = check(
    value,
    253,
    patterns.configKey,
    `a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '${configKey}')`,
  );
  if (value === '.') problems.push("must not be '.'");
  else if (value === '..') problems.push("must not be '..'");
  else if (value.startsWith('..')) problems.push("must not start with '..'");
  return problems;
};

/** A container or service port's name as an IANA service name (RFC 6335). */
export const portName: NameRule = (value) => {
  const problems: string[] = [];
  if (value.length > 15) problems.push(noMoreThan(15));
  if (!/^[-a-z0-9]+$/.test(value)) problems.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(value)) problems.push('must contain at least one letter (a-z)');
  if (value.includes('--')) problems.push('must not contain consecutive hyphens');
  if (value.startsWith('-') || value.endsWith('-')) problems.push('must not begin or end with a hyphen');
  return problems;
};

/** Names of environment variables, as relaxed since Kubernetes 1.30. */
export const envVarName: NameRule = (value) =>
  /^[ -<>-~]+$/.test(value) ? [] : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];

export const portNumber = (value: unknown): string[] =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65_535 ? [] : ['must be between 1 and 65535, inclusive'];

export const ipAddress: NameRule = (value) =>
  tryParseAddress(value) ? [] : ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'];

/** An address that something else can be reached at: not unspecified, loopback, link-local or link-local multicast. */
export const nonSpecialAddress: NameRule = (value) => {
  const address = tryParseAddress(value);
  if (!address) return ipAddress(value);
  const { text } = address;
  if (text === '0.0.0.0' || text === '::') return [`may not be unspecified (${value})`];
  if (text.startsWith('127.') || text === '::1') return ['may not be in the loopback range (127.0.0.0/8, ::1/128)'];
  if (text.startsWith('169.254.') || /^fe[89ab]/i.test(text)) return ['may not be in the link-local range (169.254.0.0/16, fe80::/10)'];
  if (text.startsWith('224.0.0.') || /^ff02:/i.test(text))
    return ['may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'];
  return [];
};

export const cidr: NameRule = (value) => (tryParsePrefix(value) ? [] : ['must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)']);

export const immutableText = 'field is immutable';
export const negativeText = 'must be greater than or equal to 0';
