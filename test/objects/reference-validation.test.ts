import { expect, it } from 'vitest';
import { type AnyObject, kinds, pruneUnknown } from '../../src/objects/index.ts';
import { validationCases } from './validation-cases.ts';

it.each(validationCases.map((one) => [`${one.kind} ${JSON.stringify({ ...one, kind: undefined, wrong: undefined })}`, one] as const))(
  '%s is judged as a real API server does',
  (_name, { kind: name, spec, fields, metadata, wrong }) => {
    const kind = kinds.find(({ resource, storedAs }) => resource.kind === name && !storedAs)!;
    const object = {
      metadata: { name: 'x', ...(kind.resource.namespaced && { namespace: 'd' }), ...metadata },
      ...(spec && { spec }),
      ...fields,
    };
    const copy = structuredClone(object) as AnyObject;
    pruneUnknown(kind.schema, copy);
    kind.applyDefaults(copy);
    kind.prepareForCreate(copy);
    const told = kind.validate(copy, undefined).map(({ field, message }) => `${field}: ${message}`);
    expect(told.filter((text) => !wrong.some((begin) => text.startsWith(begin)))).toEqual([]);
    expect(wrong.filter((begin) => !told.some((text) => text.startsWith(begin)))).toEqual([]);
  },
);
