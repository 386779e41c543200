// events.k8s.io/v1 Event: a core Event under other field names (KEP-383). Both are one object in the store.
import { isDeepStrictEqual } from 'node:util';
import type { AnyObject } from '../kind.ts';
import { resources } from '../resource.ts';
import type { StatusCause } from '../types/index.ts';
import { invalid, required } from '../validation/causes.ts';
import { immutableText } from '../validation/names.ts';
import { declareKind } from './declare.ts';
import { eventKind, validateEvent } from './event.ts';

/** Name in events.k8s.io/v1 -> name in core/v1; fields that are not here have the same name in both. */
const coreNames = new Map(
  Object.entries({
    reportingController: 'reportingComponent',
    regarding: 'involvedObject',
    note: 'message',
    deprecatedSource: 'source',
    deprecatedFirstTimestamp: 'firstTimestamp',
    deprecatedLastTimestamp: 'lastTimestamp',
    deprecatedCount: 'count',
  }),
);
const newNames = new Map([...coreNames].map(([name, core]) => [core, name]));

const renamed = (object: AnyObject, names: ReadonlyMap<string, string>): object =>
  Object.fromEntries(Object.entries(object).map(([field, value]) => [names.get(field) ?? field, value]));

/** The fields that Go's encoder writes even when they are empty. */
function toStored(event: AnyObject): AnyObject {
  const core = renamed(event, coreNames) as AnyObject;
  return {
    ...core,
    apiVersion: 'v1',
    involvedObject: core['involvedObject'] ?? {},
    reportingComponent: core['reportingComponent'] ?? '',
    reportingInstance: core['reportingInstance'] ?? '',
  };
}

function fromStored(event: AnyObject): AnyObject {
  const { reportingController, reportingInstance, ...rest } = renamed(event, newNames) as AnyObject;
  return {
    ...(rest as AnyObject),
    apiVersion: 'events.k8s.io/v1',
    eventTime: event['eventTime'] ?? null,
    ...(reportingController && { reportingController }),
    ...(reportingInstance && { reportingInstance }),
  };
}

const selectable = [
  'reason',
  'type',
  'reportingComponent',
  ...eventKind.selectableFieldNames.filter((name) => name.startsWith('involvedObject.')),
];

export const newEventKind = declareKind({
  resource: resources.newEvents,
  shortNames: ['ev'],
  createsOnUpdate: true,
  storedAs: { kind: eventKind, toStored, fromStored },
  validate: (event, old) => {
    const core = toStored(event);
    return old ? [...validateEvent(core), ...validateUpdate(core, toStored(old))] : validateCreate(core);
  },
  columns: eventKind.columns.map((column) => ({ ...column, cell: (event, now) => column.cell(toStored(event), now) })),
  selectable: Object.fromEntries(
    selectable.map((core) => {
      const name = core.replace('involvedObject.', 'regarding.').replace('reportingComponent', 'reportingController');
      return [name, (event: AnyObject) => eventKind.selectableFields(toStored(event))[core]];
    }),
  ),
});

/** Events of the new API are stricter than those of the old one, which their texts name the fields of. */
function validateCreate(event: AnyObject): StatusCause[] {
  const causes = [...validateEvent(event), ...validateSeries(event)];
  if (!event['eventTime']) causes.push(required('eventTime'));
  if (event['type'] !== 'Normal' && event['type'] !== 'Warning')
    causes.push(invalid('type', '', `has invalid value: ${event['type'] ?? ''}`));
  for (const field of ['firstTimestamp', 'lastTimestamp', 'count']) if (event[field]) causes.push(invalid(field, '', 'needs to be unset'));
  if (event['source']?.component || event['source']?.host) causes.push(invalid('source', '', 'needs to be unset'));
  return causes;
}

function validateSeries({ series }: AnyObject): StatusCause[] {
  if (!series) return [];
  return [
    ...((series.count ?? 0) < 2 ? [invalid('series.count', '', 'should be at least 2')] : []),
    ...(series.lastObservedTime ? [] : [required('series.lastObservedTime')]),
  ];
}

const fixed = [
  ...['involvedObject', 'reason', 'message', 'source', 'firstTimestamp', 'lastTimestamp', 'count', 'type', 'eventTime'],
  ...['action', 'related', 'reportingComponent', 'reportingInstance'],
];

const validateUpdate = (event: AnyObject, old: AnyObject): StatusCause[] => [
  ...(isDeepStrictEqual(event['series'], old['series']) ? [] : validateSeries(event)),
  ...fixed
    .filter((field) => !isDeepStrictEqual(event[field], old[field]))
    .map((field) => invalid(field.replace('Component', 'Controller'), event[field] ?? '', immutableText)),
];
