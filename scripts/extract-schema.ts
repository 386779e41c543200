// Reads the schema of the Kubernetes API out of a kubectl binary and writes it as compact JSON tables.
//
//   node scripts/extract-schema.ts /path/to/kubectl src/objects/schema
//
// kubectl links k8s.io/api, and so carries two descriptions of every API type:
//  1. the gzipped google.protobuf.FileDescriptorProto of each package (field numbers, wire types, and in the
//     gogoproto extension 65001, "nullable", whether a Go field is a pointer), and
//  2. the Go runtime's type data, whose struct tags give the JSON name, omitempty, patchStrategy and patchMergeKey.
//
// kubectl does not say how server-side apply merges lists and maps; what cannot be told from the merge keys is kept by hand in
// src/objects/schema/list-types.ts.
//
// Only messages reachable from the roots below are written. Format of the tables: src/objects/schema/table.ts.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, inflateRawSync } from 'node:zlib';
import { Reader } from 'protobufjs';

interface Field {
  name: string;
  number: number;
  /** descriptor.proto's FieldDescriptorProto.Type. */
  type: number;
  typeName: string;
  repeated: boolean;
  nullable: boolean;
}
interface Message {
  name: string;
  fields: Field[];
  mapEntry: boolean;
}
interface GoField {
  number: number;
  json: string;
  omitEmpty: boolean;
  patchStrategy: string;
  patchMergeKey: string;
}

/** The embedded metav1.TypeMeta, which is no field of the message: runtime.Unknown carries it. */
const typeMeta: GoField = { number: 0, json: '', omitEmpty: true, patchStrategy: '', patchMergeKey: '' };

const rootPackages = [
  'k8s.io.api.core.v1',
  'k8s.io.api.apps.v1',
  'k8s.io.api.networking.v1',
  'k8s.io.api.discovery.v1',
  'k8s.io.api.coordination.v1',
  'k8s.io.api.events.v1',
  'k8s.io.api.autoscaling.v1',
  'k8s.io.api.authentication.v1',
  'k8s.io.api.authorization.v1',
  'k8s.io.api.policy.v1',
  'k8s.io.api.rbac.v1',
  'k8s.io.api.storage.v1',
  'k8s.io.api.node.v1',
];
/** Top-level kinds to keep of each package; a list kind follows its item. */
const rootKinds = new Set(
  (
    'Namespace Node Pod Service Endpoints ConfigMap Secret ServiceAccount Event Binding PersistentVolumeClaim LimitRange ResourceQuota ' +
    'PodTemplate Deployment ReplicaSet DaemonSet StatefulSet ControllerRevision NetworkPolicy Ingress IngressClass EndpointSlice Lease Scale ' +
    'TokenRequest TokenReview SelfSubjectReview SubjectAccessReview SelfSubjectAccessReview LocalSubjectAccessReview SelfSubjectRulesReview ' +
    'Eviction Role RoleBinding ClusterRole ClusterRoleBinding CSINode CSIDriver StorageClass RuntimeClass'
  ).split(' '),
);
const metaPackage = 'k8s.io.apimachinery.pkg.apis.meta.v1';
const metaRoots =
  'ObjectMeta ListMeta Status DeleteOptions PartialObjectMetadata PartialObjectMetadataList LabelSelector Time MicroTime FieldsV1';
const otherRoots = ['k8s.io.apimachinery.pkg.runtime.Unknown', 'k8s.io.apimachinery.pkg.runtime.RawExtension'];

const [, , kubectl, outDir] = process.argv;
if (!kubectl || !outDir) {
  console.error('usage: node scripts/extract-schema.ts KUBECTL OUTPUT-FOLDER');
  process.exit(2);
}

// ---- descriptors -------------------------------------------------------------------------------------------------

function readDescriptors(bytes: Buffer): Map<string, Message> {
  const found = new Map<string, Message>();
  const magic = Buffer.from([0x1f, 0x8b, 0x08, 0x00]);
  for (let at = bytes.indexOf(magic); at >= 0; at = bytes.indexOf(magic, at + 1)) {
    let file: Buffer;
    try {
      // The header of compress/gzip's default writer is ten bytes. Raw inflation stops at the member's end.
      file = inflateRawSync(bytes.subarray(at + 10, at + 1_000_000), { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 4_000_000 });
    } catch {
      continue;
    }
    try {
      readFile(file, found);
    } catch {
      // Some other gzip stream, for example an OpenAPI document.
    }
  }
  return found;
}

/** Calls `on` for every field of a protobuf message: varints come as numbers, the rest as bytes. */
function eachField(bytes: Uint8Array, on: (number: number, value: number | Uint8Array) => void): void {
  const reader = Reader.create(bytes);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    switch (tag & 7) {
      case 0:
        on(tag >>> 3, Number(reader.uint64()));
        break;
      case 2:
        on(tag >>> 3, reader.bytes());
        break;
      default:
        reader.skipType(tag & 7);
    }
  }
}

const text = (value: number | Uint8Array): string => Buffer.from(value as Uint8Array).toString('utf8');

function readFile(bytes: Uint8Array, into: Map<string, Message>): void {
  let name = '';
  let packageName = '';
  const bodies: Uint8Array[] = [];
  eachField(bytes, (number, value) => {
    if (number === 1) name = text(value);
    else if (number === 2) packageName = text(value);
    else if (number === 4) bodies.push(value as Uint8Array);
  });
  if (!/^k8s\.io\/.*generated\.proto$/.test(name)) return;
  for (const body of bodies) readMessage(body, packageName, into);
}

function readMessage(bytes: Uint8Array, scope: string, into: Map<string, Message>): void {
  const message: Message = { name: '', fields: [], mapEntry: false };
  const nested: Uint8Array[] = [];
  eachField(bytes, (number, value) => {
    if (number === 1) message.name = `${scope}.${text(value)}`;
    else if (number === 2) message.fields.push(readField(value as Uint8Array));
    else if (number === 3) nested.push(value as Uint8Array);
    else if (number === 7) eachField(value as Uint8Array, (option, on) => void (option === 7 && (message.mapEntry = on === 1)));
  });
  into.set(message.name, message);
  for (const body of nested) readMessage(body, message.name, into);
}

function readField(bytes: Uint8Array): Field {
  const field: Field = { name: '', number: 0, type: 0, typeName: '', repeated: false, nullable: true };
  eachField(bytes, (number, value) => {
    if (number === 1) field.name = text(value);
    else if (number === 3) field.number = value as number;
    else if (number === 4) field.repeated = value === 3;
    else if (number === 5) field.type = value as number;
    else if (number === 6) field.typeName = text(value).replace(/^\./, '');
    else if (number === 8) {
      eachField(value as Uint8Array, (option, on) => {
        if (option === 65_001) field.nullable = on === 1;
      });
    }
  });
  return field;
}

// ---- Go type data ------------------------------------------------------------------------------------------------

/**
 * Struct fields of the Go types by qualified name, such as `k8s.io.api.apps.v1.Deployment`. Layouts: package internal/abi of
 * Go 1.21 to 1.24 (abi.Type is 48 bytes, abi.StructType 80, then abi.UncommonType), 64-bit little endian, not position independent.
 */
function readGoStructs(bytes: Buffer): Map<string, GoField[]> {
  const section = elfSections(bytes).find(({ name }) => name === '.rodata');
  if (!section) throw new Error('no .rodata section: not a Go binary for Linux');
  const end = section.offset + section.size;
  const byAddress = new Map<number, GoField | undefined>();
  for (let at = bytes.indexOf('json:"', section.offset, 'latin1'); at >= 0 && at < end; at = bytes.indexOf('json:"', at + 1, 'latin1')) {
    const start = nameStart(bytes, at);
    if (start) byAddress.set(section.address + start.at - section.offset, goField(start.name, start.tag));
  }
  // A reflect.structField is a name, a type and an offset: 24 bytes. Collect the arrays of them, by address.
  const arrays = new Map<number, (GoField | undefined)[]>();
  let current: { fields: (GoField | undefined)[]; next: number } | undefined;
  const pointerAt = (at: number) => (bytes.readUInt32LE(at + 4) === 0 ? bytes.readUInt32LE(at) : 0);
  for (let at = section.offset; at + 8 <= end; at += 8) {
    const address = pointerAt(at);
    if (!byAddress.has(address)) continue;
    if (at !== current?.next) {
      current = { fields: [], next: 0 };
      arrays.set(section.address + at - section.offset, current.fields);
    }
    current.fields.push(byAddress.get(address));
    current.next = at + 24;
  }
  const structs = new Map<string, GoField[]>();
  const nameAt = (offset: number) =>
    bytes.toString('latin1', section.offset + offset + 2, section.offset + offset + 2 + bytes[section.offset + offset + 1]!);
  for (let at = section.offset + 56; at + 32 <= end; at += 8) {
    const fields = arrays.get(pointerAt(at));
    if (!fields || bytes.readUInt32LE(at + 8) !== fields.length) continue;
    const name = nameAt(bytes.readUInt32LE(at - 56 + 40)).replace(/^\*?\w+\./, '');
    const packagePath = nameAt(bytes.readUInt32LE(at + 24)).replaceAll('/', '.');
    structs.set(
      `${packagePath}.${name}`,
      fields.filter((field) => field !== undefined),
    );
  }
  return structs;
}

/** Go's name data: flags (1 exported, 2 has a tag, 8 embedded), length, name, tag length, tag. */
function nameStart(bytes: Buffer, tagAt: number): { at: number; name: string; tag: string } | undefined {
  let tagLength = bytes[tagAt - 1]!;
  let lengthAt = tagAt - 1;
  if (bytes[tagAt - 2]! >= 0x80) {
    tagLength = (bytes[tagAt - 2]! & 0x7f) | (tagLength << 7);
    lengthAt = tagAt - 2;
  }
  for (const nameEnd of lengthAt === tagAt - 1 ? [lengthAt] : [lengthAt, tagAt - 1]) {
    for (let length = 1; length < 64; length++) {
      const at = nameEnd - length - 2;
      if (bytes[at + 1] !== length || (bytes[at]! & ~8) !== 3) continue;
      if (!/^\w+$/.test(bytes.toString('latin1', at + 2, nameEnd))) continue;
      const size = nameEnd === lengthAt ? tagLength : bytes[tagAt - 1]!;
      return { at, name: bytes.toString('latin1', at + 2, nameEnd), tag: bytes.toString('latin1', tagAt, tagAt + size) };
    }
  }
  return undefined;
}

function goField(name: string, tag: string): GoField | undefined {
  if (name === 'TypeMeta') return typeMeta;
  const part = (name: string) => new RegExp(`(?:^| )${name}:"([^"]*)"`).exec(tag)?.[1] ?? '';
  const protobuf = part('protobuf').split(',');
  if (protobuf.length < 3) return undefined;
  const [json = '', ...options] = part('json').split(',');
  return {
    number: Number(protobuf[1]),
    json,
    omitEmpty: options.includes('omitempty'),
    patchStrategy: part('patchStrategy'),
    patchMergeKey: part('patchMergeKey'),
  };
}

function elfSections(bytes: Buffer): { name: string; address: number; offset: number; size: number }[] {
  const table = Number(bytes.readBigUInt64LE(40));
  const entrySize = bytes.readUInt16LE(58);
  const count = bytes.readUInt16LE(60);
  const raw = Array.from({ length: count }, (_, index) => {
    const at = table + index * entrySize;
    return {
      nameAt: bytes.readUInt32LE(at),
      address: Number(bytes.readBigUInt64LE(at + 16)),
      offset: Number(bytes.readBigUInt64LE(at + 24)),
      size: Number(bytes.readBigUInt64LE(at + 32)),
    };
  });
  const names = raw[bytes.readUInt16LE(62)]!;
  return raw.map(({ nameAt, ...section }) => {
    const from = names.offset + nameAt;
    return { name: bytes.toString('latin1', from, bytes.indexOf(0, from)), ...section };
  });
}

// ---- output ------------------------------------------------------------------------------------------------------

function writeTables(all: Map<string, Message>, goStructs: Map<string, GoField[]>): void {
  const wanted = new Set<string>();
  const want = (name: string): void => {
    const message = all.get(name);
    if (!message) throw new Error(`no message ${name}`);
    if (wanted.has(name)) return;
    wanted.add(name);
    for (const field of message.fields) if (field.typeName) want(field.typeName);
  };
  for (const packageName of rootPackages) {
    for (const kind of rootKinds) {
      for (const name of [`${packageName}.${kind}`, `${packageName}.${kind}List`]) if (all.has(name)) want(name);
    }
  }
  for (const name of metaRoots.split(' ')) want(`${metaPackage}.${name}`);
  for (const name of otherRoots) want(name);

  const packages: Record<string, Record<string, string>> = {};
  for (const name of [...wanted].toSorted()) {
    const message = all.get(name)!;
    if (message.mapEntry) continue;
    const packageName = name.slice(0, name.lastIndexOf('.'));
    const go = goStructs.get(name);
    if (!go) console.error(`no Go struct for ${name}: the JSON names are taken to be the protobuf ones`);
    const fields = message.fields
      .toSorted((a, b) => a.number - b.number)
      .map((field) =>
        describe(
          field,
          packageName,
          go?.find(({ number }) => number === field.number),
          all,
        ),
      );
    if (go?.includes(typeMeta)) fields.unshift('@');
    packages[packageName] ??= {};
    packages[packageName][name.slice(packageName.length + 1)] = fields.join(';');
  }
  mkdirSync(outDir!, { recursive: true });
  const file = join(outDir!, 'kubernetes.json');
  writeFileSync(file, `${JSON.stringify(packages, undefined, 1)}\n`);
  console.log(`${file}: ${wanted.size} messages`);
}

const scalarTypes: Readonly<Record<number, string>> = { 1: 'double', 3: 'int64', 5: 'int32', 8: 'bool', 9: 'string', 12: 'bytes' };

function typeOf(field: Field, packageName: string): string {
  if (field.type !== 11) {
    const scalar = scalarTypes[field.type];
    if (!scalar) throw new Error(`field ${field.name}: unexpected type ${field.type}`);
    return scalar;
  }
  return field.typeName.startsWith(`${packageName}.`) ? field.typeName.slice(packageName.length + 1) : field.typeName;
}

function describe(field: Field, packageName: string, go: GoField | undefined, all: Map<string, Message>): string {
  const entry = field.type === 11 ? all.get(field.typeName) : undefined;
  const value = entry?.mapEntry ? entry.fields.find(({ number }) => number === 2)! : undefined;
  const isMapOrList = field.repeated || value !== undefined;
  let type = value ? `{}${typeOf(value, packageName)}` : `${field.repeated ? '[]' : ''}${typeOf(field, packageName)}`;
  if (field.nullable && !isMapOrList) type = `*${type}`;
  const json = go?.json ?? field.name;
  const parts = [String(field.number), json === '' ? '=' : json, type];
  if (go && !go.omitEmpty && json !== '') parts.push('!');
  if (go?.patchStrategy.includes('merge')) parts.push(`~${go.patchMergeKey}`);
  if (go?.patchStrategy.includes('retainKeys')) parts.push('^');
  if (go?.patchStrategy === 'replace') parts.push('%');
  return parts.join(' ');
}

const binary = readFileSync(kubectl);
const messages = readDescriptors(binary);
const structs = readGoStructs(binary);
writeTables(messages, structs);
