import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attributesOf } from '../../src/api-server/auth/attributes.ts';
import { parseRequestInfo } from '../../src/api-server/request-info.ts';
import { StatusError } from '../../src/api-server/status-errors.ts';

const resource = (more: object) => ({
  isResource: true,
  verb: 'get',
  group: '',
  version: 'v1',
  resource: 'pods',
  subresource: '',
  namespace: 'default',
  name: '',
  ...more,
});

describe('what a request asks for', () => {
  it.each<[string, string, object]>([
    ['GET', '/api/v1/namespaces/default/pods', resource({ verb: 'list' })],
    ['GET', '/api/v1/namespaces/default/pods?watch=1', resource({ verb: 'watch' })],
    ['GET', '/api/v1/namespaces/default/pods?watch=false', resource({ verb: 'list' })],
    ['GET', '/api/v1/watch/namespaces/default/pods/web', resource({ verb: 'watch', name: 'web' })],
    ['GET', '/api/v1/namespaces/default/pods/web', resource({ name: 'web' })],
    ['GET', '/api/v1/namespaces/default/pods?fieldSelector=metadata.name%3Dweb', resource({ verb: 'list', name: 'web' })],
    ['GET', '/api/v1/namespaces/default/pods?fieldSelector=metadata.name!%3Dweb', resource({ verb: 'list' })],
    ['POST', '/api/v1/namespaces/default/pods/web/exec?command=sh', resource({ verb: 'create', name: 'web', subresource: 'exec' })],
    ['DELETE', '/api/v1/namespaces/default/pods', resource({ verb: 'deletecollection' })],
    ['DELETE', '/api/v1/namespaces/default/pods/web', resource({ verb: 'delete', name: 'web' })],
    ['GET', '/api/v1/namespaces/dev', resource({ resource: 'namespaces', namespace: 'dev', name: 'dev' })],
    [
      'PUT',
      '/api/v1/namespaces/dev/finalize',
      resource({ verb: 'update', resource: 'namespaces', namespace: 'dev', name: 'dev', subresource: 'finalize' }),
    ],
    ['GET', '/apis/apps/v1/deployments', resource({ verb: 'list', group: 'apps', resource: 'deployments', namespace: '' })],
    ['GET', '/apis/no.such/v1/things/x', resource({ group: 'no.such', resource: 'things', namespace: '', name: 'x' })],
    ['GET', '/api', { isResource: false, verb: 'get', path: '/api' }],
    ['GET', '/apis/apps/v1', { isResource: false, verb: 'get', path: '/apis/apps/v1' }],
    ['GET', '//api/v1/pods', { isResource: false, verb: 'get', path: '//api/v1/pods' }],
    ['GET', '/metrics?x=1', { isResource: false, verb: 'get', path: '/metrics' }],
    ['GET', '/apiserver/v1/pods', { isResource: false, verb: 'get', path: '/apiserver/v1/pods' }],
  ])('%s %s', (method, url, attributes) => {
    expect(attributesOf(method, url)).toEqual(attributes);
  });

  it('is what the server then does, for every path that leads somewhere', () => {
    const segment = fc.constantFrom(
      'api',
      'apis',
      'v1',
      'apps',
      'namespaces',
      'default',
      'pods',
      'deployments',
      'status',
      'watch',
      'x',
      '%70ods',
      '',
      '..',
    );
    const query = fc.constantFrom(
      '',
      '?watch=1',
      '?watch=0',
      '?watch=yes',
      '?watch=',
      '?fieldSelector=metadata.name%3Dx',
      '?watch=0&watch=1',
    );
    fc.assert(
      fc.property(
        fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE'),
        fc.array(segment, { maxLength: 8 }),
        query,
        (method, parts, tail) => {
          const path = `/${parts.join('/')}`;
          let info: ReturnType<typeof parseRequestInfo>;
          try {
            info = parseRequestInfo(method, path, new URLSearchParams(tail.slice(1)));
          } catch (error) {
            expect(error).toBeInstanceOf(StatusError);
            return;
          }
          const attributes = attributesOf(method, path + tail);
          // Paths that are no resource's never get as far as this.
          if (!attributes.isResource) return;
          const { verb, kind, namespace, subresource, name } = info;
          expect([attributes.verb, attributes.group, attributes.resource, attributes.subresource]).toEqual([
            verb,
            kind.resource.group,
            kind.resource.plural,
            subresource,
          ]);
          if (kind.resource.namespaced) expect(attributes.namespace).toBe(namespace);
          if (name) expect(attributes.name).toBe(name);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  it('an old-style watch of one object stays at that object, whatever selector comes with it', () => {
    const query = new URLSearchParams('fieldSelector=metadata.name!=allowed');
    expect(parseRequestInfo('GET', '/api/v1/watch/namespaces/default/secrets/allowed', query).verb).toBe('watch');
    expect(query.getAll('fieldSelector')).toEqual(['metadata.name!=allowed,metadata.name=allowed']);
  });
});
