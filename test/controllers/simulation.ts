import { type Action, type Controller, createStaticView } from '../../src/controllers/index.ts';
import { jsonMergePatch, type KubeObject, objectKey, type Pod, type ReplicaSet } from '../../src/objects/index.ts';

/**
 * A cluster of objects in memory in which a test decides what happens next: which controller takes a turn, which pod becomes ready, which one is
 * gone. No time passes but what the test makes pass, and nothing happens at once with anything else.
 */
export class Simulation {
  /** Milliseconds since the epoch. */
  now = Date.parse('2026-01-01T00:00:00Z');
  readonly #objects = new Map<string, KubeObject>();
  #count = 0;

  constructor(objects: readonly KubeObject[]) {
    for (const object of objects) this.put(object);
  }

  list<T extends KubeObject>(kind: string): T[] {
    return [...this.#objects.values()].filter((object) => object.kind === kind) as T[];
  }

  get<T extends KubeObject>(kind: string, key: string): T | undefined {
    return this.#objects.get(`${kind}|${key}`) as T | undefined;
  }

  put(object: KubeObject): void {
    const { metadata } = object;
    const stamped: KubeObject = {
      ...object,
      metadata: {
        creationTimestamp: this.#time(),
        generation: 1,
        uid: `uid-${++this.#count}`,
        ...metadata,
        resourceVersion: String(++this.#count),
      },
    };
    this.#objects.set(`${object.kind}|${objectKey(object)}`, stamped);
  }

  remove(object: KubeObject): void {
    this.#objects.delete(`${object.kind}|${objectKey(object)}`);
  }

  /** One turn of a controller for one key; what it wants done is done. The actions. */
  turn(controller: Controller, key: string): readonly Action[] {
    const { actions } = controller.reconcile(key, createStaticView([...this.#objects.values()], this.now), undefined);
    for (const action of actions) this.#carryOut(action);
    return actions;
  }

  run(pod: Pod, ready: boolean): void {
    const conditions = [{ type: 'Ready', status: ready ? ('True' as const) : ('False' as const), lastTransitionTime: this.#time() }];
    this.put({ ...pod, status: { phase: 'Running', podIP: '10.0.0.1', conditions } } as KubeObject);
  }

  #carryOut(action: Action): void {
    switch (action.do) {
      case 'together':
        for (const each of action.actions) this.#carryOut(each);
        return;
      case 'create':
        return this.#create(action.object);
      case 'delete':
        return this.#delete(action.object);
      case 'patch':
        return this.#patch(action.object, action.patch);
      case 'bind':
        return this.#patch(action.pod, { spec: { nodeName: action.node.metadata.name } });
      case 'event':
        return;
      default:
        throw new Error(`the simulation knows no ${action.do}`);
    }
  }

  #create(object: KubeObject): void {
    const { name, generateName } = object.metadata;
    const made = { ...object, metadata: { ...object.metadata, name: name || `${generateName}${++this.#count}` } };
    if (this.#objects.has(`${made.kind}|${objectKey(made)}`)) throw new Error(`${made.kind} ${objectKey(made)} exists already`);
    this.put(made.kind === 'Pod' ? ({ ...made, status: { phase: 'Pending' } } as KubeObject) : made);
  }

  /** Pods take their time to end; all else is gone at once. */
  #delete(object: KubeObject): void {
    const now = this.get(object.kind, objectKey(object));
    if (!now) return;
    if (object.kind === 'Pod') this.put({ ...now, metadata: { ...now.metadata, deletionTimestamp: this.#time() } });
    else this.remove(now);
  }

  #patch(object: KubeObject, patch: unknown): void {
    const before = this.get<ReplicaSet>(object.kind, objectKey(object));
    if (!before) return;
    const after = jsonMergePatch(structuredClone(before), patch as object) as ReplicaSet;
    const changed = JSON.stringify(before.spec) !== JSON.stringify(after.spec);
    const generation = (before.metadata.generation ?? 0) + (changed ? 1 : 0);
    this.put({ ...after, metadata: { ...after.metadata, generation } });
  }

  #time(): string {
    return `${new Date(this.now).toISOString().slice(0, 19)}Z`;
  }
}

export const isUp = ({ metadata, status }: Pod): boolean =>
  metadata.deletionTimestamp === undefined &&
  status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;

export const isEnding = ({ metadata }: Pod): boolean => metadata.deletionTimestamp !== undefined;
