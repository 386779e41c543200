import { basename } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { deployment, inDefault, startTestServer, temporaryFolder, type TestServer } from './harness.ts';
import { findKubectls, type Kubectl, kubectlFor } from './kubectl-programs.ts';

const versions = findKubectls().filter(({ name }) => name !== 'kubectl');
/** The oldest and the newest, or the one that there is. */
const programs = versions.length > 1 ? [versions[0]!, versions.at(-1)!] : findKubectls().slice(0, 1);

describe.each(programs)('server-side apply by $name', { timeout: 120_000 }, ({ file }) => {
  let api: TestServer;
  let kubectl: Kubectl;

  beforeEach(async () => {
    api = await startTestServer();
    kubectl = kubectlFor(file, api.url, temporaryFolder());
  });

  const run = async (code: number, args: string, object?: object): Promise<string> => {
    const result = await kubectl(args.split(' '), object && JSON.stringify(object));
    expect(`${result.code} ${result.stdout}${result.stderr}`, `kubectl ${args}`).toMatch(new RegExp(`^${code} `));
    return result.stdout + result.stderr;
  };
  const web = (image: string, replicas?: number) => {
    const object = deployment('web');
    object.spec.template.spec.containers[0].image = image;
    if (replicas === undefined) delete object.spec.replicas;
    else object.spec.replicas = replicas;
    return object;
  };
  const standing = () => api.expect(200, 'GET', inDefault('deployments', 'web'));
  const owners = async (): Promise<string[]> => {
    const { metadata } = await standing();
    return metadata.managedFields.map(
      ({ manager, operation, subresource }: Record<string, string>) => `${manager} ${operation}${subresource ? ` ${subresource}` : ''}`,
    );
  };

  it('creates, changes and shares', async () => {
    expect(await run(0, 'apply --server-side -f -', web('nginx:1', 2))).toBe('deployment.apps/web serverside-applied\n');
    expect(await run(0, 'apply --server-side -f -', web('nginx:2', 2))).toBe('deployment.apps/web serverside-applied\n');
    expect((await standing()).spec.template.spec.containers[0].image).toBe('nginx:2');
    await run(0, 'apply --server-side --field-manager=team -f -', web('nginx:2', 2));
    expect(await owners()).toEqual(['kubectl Apply', 'team Apply']);
    expect(await run(0, 'get deployment web -o yaml --show-managed-fields')).toContain('f:replicas: {}');
    expect(await run(0, 'get deployment web -o yaml')).not.toContain('managedFields');
  });

  it('takes over from client-side apply', async () => {
    await run(0, 'apply -f -', web('nginx:1', 2));
    expect(await owners()).toEqual(['kubectl-client-side-apply Update']);
    await run(0, 'apply --server-side -f -', web('nginx:2', 3));
    expect((await standing()).spec).toMatchObject({ replicas: 3, template: { spec: { containers: [{ image: 'nginx:2' }] } } });
    // What it no longer names goes, as with client-side apply: the owner of before does not hold it.
    const { strategy: _strategy, ...less } = web('nginx:2').spec;
    await run(0, 'apply --server-side -f -', { ...web('nginx:2'), spec: less });
    expect((await standing()).spec.replicas).toBe(1);
    // And back: the annotation was kept true.
    expect(await run(0, 'apply -f -', web('nginx:3', 2))).toContain('deployment.apps/web configured');
  });

  it('conflicts with other ways to change the object, and overrides them when told to', async () => {
    await run(0, 'apply --server-side -f -', web('nginx:1', 2));
    await run(0, 'scale deployment web --replicas=5');
    await run(0, 'set image deployment/web main=nginx:9');
    // Of the program's own name: kubectl says no fieldManager when it scales.
    const scaler = basename(file);
    expect(await owners()).toContain(`${scaler} Update scale`);
    const conflict = await run(1, 'apply --server-side -f -', web('nginx:1', 2));
    expect(conflict).toContain('Apply failed with 2 conflicts');
    expect(conflict).toContain(`with "${scaler}" with subresource "scale" using apps/v1:\n- .spec.replicas`);
    expect(conflict).toContain('"kubectl-set" using apps/v1');
    expect(conflict).toContain('.spec.template.spec.containers[name="main"].image');
    expect(conflict).toContain('--force-conflicts');
    expect((await standing()).spec.replicas).toBe(5);
    await run(0, 'apply --server-side --force-conflicts -f -', web('nginx:1', 2));
    expect((await standing()).spec).toMatchObject({ replicas: 2, template: { spec: { containers: [{ image: 'nginx:1' }] } } });
    expect(await owners()).toEqual(['kubectl Apply']);
  });

  it('leaves to others what it does not name', async () => {
    await run(0, 'apply --server-side -f -', web('nginx:1'));
    await run(0, 'scale deployment web --replicas=5');
    await run(0, 'label deployment web tier=front');
    await run(0, 'apply --server-side -f -', web('nginx:2'));
    expect(await standing()).toMatchObject({ metadata: { labels: { tier: 'front' } }, spec: { replicas: 5 } });
  });

  it('shows first what it would do', async () => {
    expect(await run(0, 'apply --server-side --dry-run=server -f -', web('nginx:1'))).toBe(
      'deployment.apps/web serverside-applied (server dry run)\n',
    );
    await api.expect(404, 'GET', inDefault('deployments', 'web'));
    await run(0, 'apply --server-side -f -', web('nginx:1', 2));
    expect(await run(0, 'diff --server-side -f -', web('nginx:1', 2))).toBe('');
    const difference = await run(1, 'diff --server-side -f -', web('nginx:2', 2));
    expect(difference).toMatch(/-.*image: nginx:1\n.*\+.*image: nginx:2/);
    await run(0, 'scale deployment web --replicas=4');
    expect(await run(1, 'diff --server-side --force-conflicts -f -', web('nginx:1', 2))).toMatch(/- +replicas: 4\n\+ +replicas: 2/);
    expect((await standing()).spec.replicas).toBe(4);
  });

  it('says what is wrong with the configuration', async () => {
    const wrong = web('nginx:1');
    wrong.spec.replica = 3;
    expect(await run(1, 'apply --server-side --validate=false -f -', wrong)).toContain('.spec.replica: field not declared in schema');
  });
});
