import type { Fields } from './fields.ts';

/** Capabilities whose value has keys of its own (CNI conventions). In `aliases` the keys are names of networks, and stay. */
const structured = ['portMappings', 'bandwidth', 'dns', 'ipRanges'] as const;

/**
 * The configuration with the keys inside of capabilities spelled as the conventions do. containerd writes `HostPort` for `hostPort` and so on
 * (go-cni's structures have no JSON names), which no plugin in Go has ever noticed: there, reading ignores case.
 */
export function withCapabilityNames(fields: Fields): Fields {
  const runtime = fields['runtimeConfig'];
  if (!isObject(runtime)) return fields;
  const renamed = structured.flatMap((key) => (isObject(runtime[key]) ? [[key, withSmallInitials(runtime[key])]] : []));
  return { ...fields, runtimeConfig: { ...runtime, ...Object.fromEntries(renamed) } };
}

function withSmallInitials(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withSmallInitials);
  if (!isObject(value)) return value;
  // A key that is spelled right wins over its capitalized twin.
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key.charAt(0).toLowerCase() + key.slice(1), inner]));
}

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null;
