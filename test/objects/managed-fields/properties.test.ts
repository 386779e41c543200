import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ApplyConflictError } from '../../../src/objects/index.ts';
import {
  difference,
  equalSets,
  type FieldSet,
  fromFieldsV1,
  intersection,
  noFields,
  union,
} from '../../../src/objects/managed-fields/field-set.ts';
import { type Story, storyOf } from './story.ts';

const map = (...names: string[]) =>
  fc.dictionary(fc.constantFrom(...names), fc.constantFrom('1', '2', '3'), { minKeys: 1, maxKeys: names.length, noNullPrototype: true });
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const env = fc.uniqueArray(fc.record({ name: fc.constantFrom('A', 'B', 'C'), value: fc.constantFrom('1', '2') }), {
  selector: ({ name }) => name,
  minLength: 1,
});
const container = fc.record(
  {
    name: fc.constantFrom('web', 'side', 'init'),
    image: fc.constantFrom('i:1', 'i:2'),
    env,
    ports: fc.constantFrom([{ containerPort: 80 }], [{ containerPort: 80, protocol: 'UDP' }, { containerPort: 443 }]),
    command: fc.constantFrom(['a'], ['a', 'b']),
  },
  { requiredKeys: ['name', 'image'] },
);
const containers = fc.uniqueArray(container, { selector: ({ name }) => name, minLength: 1, maxLength: 3 });
/** What a Deployment is configured to be: at least its containers, in any number. */
const configuration = fc
  .record({
    labels: optional(map('l', 'm', 'n')),
    finalizers: optional(fc.subarray(['a/a', 'b/b', 'c/c'], { minLength: 1 })),
    replicas: optional(fc.nat(3)),
    containers,
  })
  .map(({ labels, finalizers, replicas, containers: list }) => ({
    metadata: { name: 'x', ...(labels && { labels }), ...(finalizers && { finalizers }) },
    spec: { ...(replicas !== undefined && { replicas }), template: { spec: { containers: list } } },
  }));
type Configuration = typeof configuration extends fc.Arbitrary<infer T> ? T : never;

const manager = fc.constantFrom('a', 'b', 'c');
const step = fc.record({ by: manager, what: configuration, apply: fc.boolean() });
const steps = fc.array(step, { minLength: 1, maxLength: 5 });

const play = (story: Story, { by, what, apply }: { by: string; what: Configuration; apply: boolean }): Story =>
  apply
    ? story.apply(by, what, { force: true })
    : story.update(by, ({ apiVersion, kind, metadata }) => ({
        apiVersion,
        kind,
        ...what,
        metadata: { ...what.metadata, managedFields: metadata.managedFields },
      }));
const told = (all: Parameters<typeof play>[1][]): Story => all.reduce(play, storyOf('apps/v1', 'Deployment'));
const ownedSets = (story: Story): FieldSet[] => Object.values(story.owners()).map(fromFieldsV1);

describe('whatever happened before', () => {
  it('applying the same again changes nothing', () => {
    fc.assert(
      fc.property(steps, manager, configuration, (before, by, what) => {
        const once = told(before).apply(by, what, { force: true });
        expect(once.apply(by, what).object).toEqual(once.object);
      }),
    );
  });

  it('an apply that is forced never conflicts, and what it names is so', () => {
    fc.assert(
      fc.property(steps, manager, configuration, (before, by, what) => {
        const { object } = told(before).apply(by, what, { force: true });
        expect(object).toMatchObject({ metadata: what.metadata.labels ? { labels: what.metadata.labels } : {} });
        for (const wanted of what.spec.template.spec.containers) {
          const found = object!.spec.template.spec.containers.find(({ name }: { name: string }) => name === wanted.name);
          expect(found.image).toBe(wanted.image);
          for (const variable of wanted.env ?? []) expect(found.env).toContainEqual(variable);
        }
      }),
    );
  });

  it('an apply that is not forced does the same, or changes nothing and says whom it would take what from', () => {
    fc.assert(
      fc.property(steps, manager, configuration, (before, by, what) => {
        const story = told(before);
        const standing = structuredClone(story.object);
        const forced = story.apply(by, what, { force: true });
        try {
          expect(story.apply(by, what).object).toEqual(forced.object);
        } catch (error) {
          expect(error).toBeInstanceOf(ApplyConflictError);
          expect((error as ApplyConflictError).causes.length).toBeGreaterThan(0);
          expect(story.object).toEqual(standing);
        }
      }),
    );
  });

  it('who applies nothing any more owns nothing, and leaves the others theirs', () => {
    fc.assert(
      fc.property(steps, configuration, (before, what) => {
        const story = told(before.filter(({ by }) => by !== 'c')).update('a', () => {});
        const after = story.apply('c', what, { force: true }).apply('c', { metadata: { name: 'x' } });
        expect(Object.keys(after.owners())).not.toContain('c+');
      }),
    );
  });
});

describe('after updates alone', () => {
  it('every field of the object has one owner, and no owner has a field that is not there', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const updates = all.map((one) => ({ ...one, apply: false }));
        const story = told(updates);
        const sets = ownedSets(story);
        const owned = sets.reduce(union, noFields);
        for (const [index, set] of sets.entries()) for (const other of sets.slice(index + 1)) expect(intersection(set, other).size).toBe(0);
        const created = play(storyOf('apps/v1', 'Deployment'), { ...updates.at(-1)!, by: 'all' });
        const wanted = ownedSets(created).reduce(union, noFields);
        expect(difference(wanted, owned).size).toBe(0);
        expect(equalSets(wanted, owned)).toBe(true);
      }),
    );
  });
});
