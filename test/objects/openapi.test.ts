import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { kinds, openApiV2Protobuf, openApiV3Document, openApiV3Paths } from '../../src/objects/index.ts';

// biome-ignore lint: documents are plain JSON
type Any = any;
const document = (group: string, version: string): Any => openApiV3Document(group, version);
const apps = document('apps', 'v1');

describe('OpenAPI v3', () => {
  it('has one document per group-version, under a hash', () => {
    const { paths } = openApiV3Paths();
    expect(Object.keys(paths)).toEqual(
      expect.arrayContaining(['api/v1', 'apis/apps/v1', 'apis/discovery.k8s.io/v1', 'apis/networking.k8s.io/v1']),
    );
    expect(paths['apis/apps/v1']!.serverRelativeURL).toMatch(/^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{64}$/);
    expect(document('batch', 'v1')).toBeUndefined();
  });

  it('tells kubectl that PATCH validates fields and takes strategic merge and apply patches', () => {
    const { patch } = apps.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'];
    expect(patch['x-kubernetes-group-version-kind']).toEqual({ group: 'apps', version: 'v1', kind: 'Deployment' });
    expect(patch['x-kubernetes-action']).toBe('patch');
    expect(patch.parameters.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining(['fieldValidation', 'fieldManager', 'dryRun']),
    );
    expect(Object.keys(patch.requestBody.content)).toEqual([
      'application/json-patch+json',
      'application/merge-patch+json',
      'application/strategic-merge-patch+json',
      'application/apply-patch+yaml',
    ]);
  });

  it('has the scale of what can be scaled, as autoscaling/v1', () => {
    const { put } = apps.paths['/apis/apps/v1/namespaces/{namespace}/replicasets/{name}/scale'];
    expect(put['x-kubernetes-group-version-kind']).toEqual({ group: 'autoscaling', version: 'v1', kind: 'Scale' });
    expect(apps.components.schemas['io.k8s.api.autoscaling.v1.Scale']).toBeDefined();
  });

  it('says how server-side apply merges lists and maps', () => {
    const { schemas } = apps.components;
    const property = (message: string, name: string): Any => schemas[`io.k8s.api.core.v1.${message}`].properties[name];
    const ports = { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['containerPort', 'protocol'] };
    expect(property('Container', 'ports')).toMatchObject({ ...ports, 'x-kubernetes-patch-merge-key': 'containerPort' });
    expect(property('Container', 'args')).toMatchObject({ 'x-kubernetes-list-type': 'atomic' });
    expect(property('PodSpec', 'nodeSelector')).toMatchObject({ 'x-kubernetes-map-type': 'atomic' });
    expect(schemas['io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'].properties.finalizers).toMatchObject({
      'x-kubernetes-list-type': 'set',
    });
    expect(schemas['io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector']).toMatchObject({ 'x-kubernetes-map-type': 'atomic' });
    expect(property('Container', 'env')).not.toHaveProperty('x-kubernetes-map-type');
  });

  it('has merge keys in its schemas, and kinds on theirs', () => {
    const { schemas } = apps.components;
    expect(schemas['io.k8s.api.core.v1.PodSpec'].properties.containers).toMatchObject({
      'x-kubernetes-patch-merge-key': 'name',
      'x-kubernetes-patch-strategy': 'merge',
    });
    expect(schemas['io.k8s.api.core.v1.PodSpec'].properties.volumes['x-kubernetes-patch-strategy']).toBe('merge,retainKeys');
    expect(schemas['io.k8s.api.apps.v1.Deployment']['x-kubernetes-group-version-kind']).toEqual([
      { group: 'apps', version: 'v1', kind: 'Deployment' },
    ]);
    expect(schemas['io.k8s.api.core.v1.Container'].required).toEqual(['name']);
  });

  it('requires only what a client must give', () => {
    const required = (group: string, name: string): string[] => document(group, 'v1').components.schemas[name].required;
    expect(required('', 'io.k8s.api.core.v1.Event')).toEqual(['metadata', 'involvedObject']);
    expect(required('discovery.k8s.io', 'io.k8s.api.discovery.v1.EndpointSlice').toSorted()).toEqual(['addressType', 'endpoints']);
    expect(required('rbac.authorization.k8s.io', 'io.k8s.api.rbac.v1.Role')).toBeUndefined();
    expect(required('apps', 'io.k8s.api.apps.v1.DeploymentSpec')).toEqual(['selector', 'template']);
  });

  it('every reference resolves and every operation has an id of its own', () => {
    const versions = new Set(kinds.map(({ resource }) => `${resource.group}/${resource.version}`));
    for (const name of versions) {
      const [group, version] = name.split('/') as [string, string];
      const { components, paths } = document(group, version);
      for (const [, component] of JSON.stringify({ components, paths }).matchAll(/"#\/components\/schemas\/([^"]+)"/g))
        expect(components.schemas, component).toHaveProperty([component!]);
      const ids = Object.values(paths as Any).flatMap((path: Any) =>
        Object.values(path).flatMap((operation: Any) => operation.operationId ?? []),
      );
      expect(new Set(ids).size, name).toBe(ids.length);
    }
  });
});

// The messages of gnostic's OpenAPIv2.proto that are used, by their field numbers.
const { root } = protobuf.parse(`
  syntax = "proto3";
  message Any { string yaml = 2; }
  message NamedAny { string name = 1; Any value = 2; }
  message Info { string title = 1; string version = 2; }
  message JsonReference { string _ref = 1; }
  message QueryParameterSubSchema { string in = 2; string name = 4; string type = 6; }
  message PathParameterSubSchema { bool required = 1; string in = 2; string name = 4; string type = 5; }
  message NonBodyParameter { oneof oneof { QueryParameterSubSchema query = 3; PathParameterSubSchema path = 4; } }
  message Parameter { NonBodyParameter non_body = 2; }
  message ParametersItem { Parameter parameter = 1; }
  message Operation { string operation_id = 5; repeated string consumes = 7; repeated ParametersItem parameters = 8; repeated NamedAny vendor_extension = 13; }
  message PathItem { Operation get = 2; Operation put = 3; Operation post = 4; Operation delete = 5; Operation patch = 8; repeated ParametersItem parameters = 9; }
  message NamedPathItem { string name = 1; PathItem value = 2; }
  message Paths { repeated NamedPathItem path = 2; }
  message TypeItem { repeated string value = 1; }
  message ItemsItem { repeated Schema schema = 1; }
  message Properties { repeated NamedSchema additional_properties = 1; }
  message Schema { string _ref = 1; string format = 2; repeated string required = 19; TypeItem type = 22; ItemsItem items = 23; Properties properties = 25; repeated NamedAny vendor_extension = 31; }
  message NamedSchema { string name = 1; Schema value = 2; }
  message Definitions { repeated NamedSchema additional_properties = 1; }
  message Document { string swagger = 1; Info info = 2; Paths paths = 8; Definitions definitions = 9; }
`);

describe('OpenAPI v2', () => {
  const decoded = root.lookupType('Document').decode(openApiV2Protobuf()).toJSON() as Any;

  it('is a gnostic document with the paths of every kind', () => {
    expect(decoded.swagger).toBe('2.0');
    const patch = decoded.paths.path.find(({ name }: Any) => name === '/api/v1/namespaces/{namespace}/pods/{name}').value.patch;
    expect(patch.consumes).toContain('application/strategic-merge-patch+json');
    expect(patch.parameters.map(({ parameter }: Any) => parameter.nonBody.query.name)).toContain('fieldValidation');
    const gvk = patch.vendorExtension.find(({ name }: Any) => name === 'x-kubernetes-group-version-kind');
    expect(JSON.parse(gvk.value.yaml)).toEqual({ group: '', version: 'v1', kind: 'Pod' });
  });

  it('has the definitions with merge keys', () => {
    const spec = decoded.definitions.additionalProperties.find(({ name }: Any) => name === 'io.k8s.api.core.v1.PodSpec').value;
    const containers = spec.properties.additionalProperties.find(({ name }: Any) => name === 'containers').value;
    expect(containers.items.schema[0]._ref ?? containers.items.schema[0].Ref).toBe('#/definitions/io.k8s.api.core.v1.Container');
    expect(containers.vendorExtension.map(({ name, value }: Any) => [name, JSON.parse(value.yaml)])).toContainEqual([
      'x-kubernetes-patch-merge-key',
      'name',
    ]);
  });
});
