import type { AnyObject } from '../kind.ts';
import { column, nameColumn, since, wideColumn } from '../print/columns.ts';
import { resources } from '../resource.ts';
import type { ObjectReference, StatusCause } from '../types/index.ts';
import { invalid, invalids, required } from '../validation/causes.ts';
import { pathSegment, qualifiedName } from '../validation/names.ts';
import { declareKind } from './declare.ts';

const about = (event: AnyObject): ObjectReference => event['involvedObject'] ?? {};
const fields = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'] as const;

export const eventKind = declareKind({
  resource: resources.events,
  createsOnUpdate: true,
  defaults(event) {
    // No pointers in Go, and not left out when they are empty.
    event['reportingComponent'] ??= '';
    event['reportingInstance'] ??= '';
  },
  shortNames: ['ev'],
  // Of a name the reference demands no more here.
  nameRule: pathSegment,
  validate: validateEvent,
  columns: [
    column('Last Seen', 'Time since the event was last seen.', (event, now) => since(lastSeen(event), now)),
    column('Type', 'Normal or Warning.', (event) => event['type'] ?? ''),
    column('Reason', 'Why it happened, in one word.', (event) => event['reason'] ?? ''),
    column('Object', 'What it is about.', (event) => `${(about(event).kind ?? '').toLowerCase()}/${about(event).name ?? ''}`),
    wideColumn('Subobject', 'Part of the object it is about.', (event) => about(event).fieldPath ?? ''),
    wideColumn('Source', 'Who reported it.', source),
    column('Message', 'What happened.', (event) => String(event['message'] ?? '').trim()),
    wideColumn('First Seen', 'Time since the event was first seen.', (event, now) =>
      since(event['firstTimestamp'] ?? event['eventTime'], now),
    ),
    wideColumn('Count', 'How often it was seen.', count),
    { ...nameColumn, priority: 1 },
  ],
  selectable: {
    ...Object.fromEntries(fields.map((field) => [`involvedObject.${field}`, (event: AnyObject) => about(event)[field]])),
    reason: (event) => event['reason'],
    reportingComponent: (event) => event['reportingComponent'],
    source: (event) => event['source']?.component || event['reportingComponent'],
    type: (event) => event['type'],
  },
});

const lastSeen = (event: AnyObject): string | undefined =>
  event['series']?.lastObservedTime ?? event['lastTimestamp'] ?? event['firstTimestamp'] ?? event['eventTime'] ?? undefined;

function source(event: AnyObject): string {
  const component = event['source']?.component || event['reportingComponent'] || '';
  const host = event['source']?.host || event['reportingInstance'] || '';
  return host ? `${component}, ${host}` : component;
}

function count(event: AnyObject): number {
  return event['series']?.count ?? (event['count'] || 1);
}

/** Events with eventTime are of the new sort and need a reporter; the others must agree with the namespace of what they are about. */
export function validateEvent(event: AnyObject): StatusCause[] {
  const { namespace } = event.metadata;
  const wanted = about(event).namespace ?? '';
  const mismatch = invalid('involvedObject.namespace', wanted, 'does not match event.namespace');
  // Events about cluster-scoped objects live in the namespace default.
  if (!event['eventTime']) return namespace === (wanted || 'default') ? [] : [mismatch];
  const causes: StatusCause[] = [];
  if (wanted === '' && namespace !== 'default' && namespace !== 'kube-system') causes.push(mismatch);
  const reporter = event['reportingComponent'] ?? '';
  if (reporter === '') causes.push(required('reportingController'));
  else causes.push(...invalids('reportingController', reporter, qualifiedName(reporter)));
  for (const [field, most] of [
    ['reportingInstance', 128],
    ['action', 128],
    ['reason', 128],
  ] as const) {
    const value: string = event[field] ?? '';
    if (value === '') causes.push(required(field));
    else if (value.length > most) causes.push(invalid(field, '', `can have at most ${most} characters`));
  }
  if ((event['message'] ?? '').length > 1024) causes.push(invalid('message', '', 'can have at most 1024 characters'));
  return causes;
}
