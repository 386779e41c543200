// The annotation in which client-side apply remembers what it applied, as far as server-side apply minds it.
import { checkConfiguration } from './check-configuration.ts';
import { ConfigurationError } from './apply-errors.ts';
import { compare } from './compare.ts';
import { difference, type FieldSet } from './field-set.ts';
import { goJson } from './path-element.ts';
import { toFieldSet } from './to-field-set.ts';
import { decoded, type Scheme } from './updater.ts';
import { isObject, type JsonObject } from './values.ts';

const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
/** Bytes that an object's annotations may have together. */
const maxAnnotations = 256 * 1024;

/** The fields of the last applied configuration that stand as it said; undefined when there is none that can be read. */
export function lastAppliedFields({ structure, apiVersion }: Scheme, live: JsonObject): FieldSet | undefined {
  const configuration = parse(annotationsOf(live)[annotation]);
  if (!configuration || configuration['apiVersion'] !== apiVersion) return undefined;
  try {
    checkConfiguration(structure, configuration);
  } catch (error) {
    if (error instanceof ConfigurationError) return undefined;
    throw error;
  }
  const { added, modified, removed } = compare(structure, { value: configuration, decoded: false }, decoded(live));
  return difference(difference(difference(toFieldSet(structure, configuration), modified), added), removed);
}

/** The object with the annotation brought to the configuration, where it has one: who goes back to client-side apply finds it true. */
export function keepLastApplied(object: JsonObject, configuration: JsonObject): JsonObject {
  if (!annotationsOf(object)[annotation]) return object;
  const { [annotation]: _, ...configured } = annotationsOf(configuration);
  const metadata = { ...(configuration['metadata'] as object), annotations: configured };
  const text = `${goJson(sorted({ ...configuration, metadata: Object.keys(configured).length > 0 ? metadata : withoutAnnotations(metadata) }))}\n`;
  const annotations: JsonObject = { ...annotationsOf(object), [annotation]: text };
  const size = Object.entries(annotations).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(String(value)),
    0,
  );
  if (size > maxAnnotations) delete annotations[annotation];
  return { ...object, metadata: { ...(object['metadata'] as object), annotations } };
}

function withoutAnnotations({ annotations: _annotations, ...rest }: { annotations: unknown }): object {
  return rest;
}

function annotationsOf({ metadata }: JsonObject): JsonObject {
  const annotations = isObject(metadata) ? metadata['annotations'] : undefined;
  return isObject(annotations) ? annotations : {};
}

function parse(text: unknown): JsonObject | undefined {
  if (typeof text !== 'string') return undefined;
  try {
    const value = JSON.parse(text) as unknown;
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Objects with their names in order, as Go writes maps. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((name) => [name, sorted(value[name])]),
  );
}
