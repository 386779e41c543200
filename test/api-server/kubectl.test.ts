import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { cleanup, deployment, inDefault, startTestServer, temporaryFolder, type TestServer } from './harness.ts';
import { findKubectls, type Kubectl, kubectlFor } from './kubectl-programs.ts';

const programs = findKubectls();

it('kubectl is on this machine', () => {
  const hint = 'no kubectl on the PATH: install one (https://kubernetes.io/docs/tasks/tools/), any version from 1.27 on';
  expect(programs.length, hint).toBeGreaterThan(0);
});

describe.each(programs)('$name', { timeout: 120_000 }, ({ file }) => {
  let api: TestServer;
  let kubectl: Kubectl;
  let folder: string;

  beforeEach(async () => {
    api = await startTestServer();
    folder = temporaryFolder();
    kubectl = kubectlFor(file, api.url, folder);
  });

  /** Runs it; it must succeed. Its output. */
  const ok = async (args: string, input?: string): Promise<string> => {
    const { code, stdout, stderr } = await kubectl(args.split(' '), input);
    expect(`${code} ${stderr}`, `kubectl ${args}`).toMatch(/^0 /);
    return stdout;
  };
  const fails = async (args: string, input?: string): Promise<string> => {
    const { code, stderr } = await kubectl(args.split(' '), input);
    expect(code, `kubectl ${args}`).not.toBe(0);
    return stderr;
  };
  const patch = (args: string, body: object): Promise<unknown> => kubectl([...args.split(' '), '-p', JSON.stringify(body)]);
  const get = (plural: string, name: string) => api.expect(200, 'GET', inDefault(plural, name));

  it('creates, scales and exposes a deployment, and shows it in every form', async () => {
    expect(await ok('create deployment web --image=nginx')).toBe('deployment.apps/web created\n');
    expect(await ok('scale deployment web --replicas=3')).toBe('deployment.apps/web scaled\n');
    expect(await ok('expose deployment web --port=80')).toBe('service/web exposed\n');
    expect((await get('deployments', 'web')).spec).toMatchObject({ replicas: 3, selector: { matchLabels: { app: 'web' } } });
    expect((await get('services', 'web')).spec).toMatchObject({
      selector: { app: 'web' },
      ports: [{ port: 80, targetPort: 80, protocol: 'TCP' }],
    });
    const wide = await ok('get deployments,services -o wide');
    expect(wide).toMatch(/deployment\.apps\/web +0\/3 +0 +0 +\S+ +nginx +nginx +app=web\n/);
    expect(wide).toMatch(/service\/web +ClusterIP +10\.96\.\d+\.\d+ +<none> +80\/TCP +\S+ +app=web\n/);
    expect(await ok('get deploy web')).toMatch(/^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +0\/3 +0 +0 +\S+\n$/);
    expect(await ok('get deploy web -o yaml')).toMatch(/^apiVersion: apps\/v1\nkind: Deployment\n/);
    expect(JSON.parse(await ok('get deploy web -o json')).metadata.name).toBe('web');
    expect(await ok('get deploy -o name')).toBe('deployment.apps/web\n');
    expect(await ok('get deploy web -o jsonpath={.spec.replicas}')).toBe('3');
    expect(await ok('get deploy -o custom-columns=N:.metadata.name,R:.spec.replicas')).toMatch(/^N +R\nweb +3\n$/);
    expect(await ok('get deploy -A --show-labels')).toMatch(/default +web .*app=web\n/);
    expect(await ok('get all')).toContain('service/web');
    expect(await ok('describe deployment web')).toMatch(/Replicas: +3 desired/);
    expect(await ok('describe service web')).toMatch(/TargetPort: +80\/TCP/);
    expect(await ok('api-resources')).toMatch(/deployments +deploy +apps\/v1 +true +Deployment/);
    expect(await ok('explain deployment.spec.replicas')).toMatch(/replicas/);
    expect(await ok('version')).toContain('podwire');
    expect(await ok('scale deployment web --current-replicas=3 --replicas=2')).toBe('deployment.apps/web scaled\n');
    expect(await fails('scale deployment web --current-replicas=3 --replicas=1')).toContain('Expected replicas to be 3, was 2');
  });

  it('runs the other generators', async () => {
    await ok('create namespace team');
    await ok('create configmap cm --from-literal=a=b');
    await ok('create serviceaccount robot');
    await ok('create service nodeport np --tcp=80:8080');
    await ok('run p --image=nginx --labels=app=p');
    await ok('create configmap dry --from-literal=a=b --dry-run=server');
    expect((await get('configmaps', 'cm')).data).toEqual({ a: 'b' });
    expect((await get('services', 'np')).spec.ports[0].nodePort).toBeGreaterThanOrEqual(30_000);
    expect(await ok('get pod p -o wide')).toMatch(/p +0\/1 +Pending +0 +\S+ +<none> +<none>/);
    expect(await ok('describe pod p')).toMatch(/Image: +nginx/);
    expect(await fails('get configmap dry')).toContain('Error from server (NotFound): configmaps "dry" not found');
    expect(await ok('describe node')).toBe('');
    expect(await ok('describe namespace team')).toMatch(/Status: +Active/);
  });

  it('labels, annotates and patches in three ways', async () => {
    await ok('create deployment web --image=nginx');
    expect(await ok('label deployment web tier=front')).toBe('deployment.apps/web labeled\n');
    expect(await ok('annotate deployment web note=hello')).toMatch(/^deployment\.apps\/web annotated?\n$/);
    await patch('patch deployment web', { spec: { template: { spec: { containers: [{ name: 'side', image: 'busybox' }] } } } });
    await patch('patch deployment web --type merge', { spec: { replicas: 4 } });
    await patch('patch deployment web --type json', [{ op: 'add', path: '/metadata/labels/x', value: 'y' }]);
    const { metadata, spec } = await get('deployments', 'web');
    expect([metadata.labels, metadata.annotations, spec.replicas]).toEqual([{ app: 'web', tier: 'front', x: 'y' }, { note: 'hello' }, 4]);
    expect(spec.template.spec.containers).toHaveLength(2);
    expect(await ok('set image deployment/web nginx=nginx:2')).toBe('deployment.apps/web image updated\n');
    expect(await ok('label deployment web tier-')).toMatch(/^deployment\.apps\/web unlabeled\n$/);
  });

  it('applies on the client side: creates, changes, takes away, and leaves alone', async () => {
    const manifest = (data: object) => JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'cm' }, data });
    expect(await ok('apply -f -', manifest({ a: '1', b: '2' }))).toBe('configmap/cm created\n');
    expect(await ok('apply -f -', manifest({ a: '1', b: '2' }))).toBe('configmap/cm unchanged\n');
    expect(await ok('apply -f -', manifest({ a: '3' }))).toBe('configmap/cm configured\n');
    expect((await get('configmaps', 'cm')).data).toEqual({ a: '3' });
    const web = deployment('web');
    await ok('apply -f -', JSON.stringify(web));
    web.spec.template.spec.containers.push({ name: 'side', image: 'busybox' });
    await ok('apply -f -', JSON.stringify(web));
    web.spec.template.spec.containers.shift();
    await ok('apply -f -', JSON.stringify(web));
    expect((await get('deployments', 'web')).spec.template.spec.containers.map(({ name }: { name: string }) => name)).toEqual(['side']);
    expect(await ok('replace -f -', manifest({ c: '4' }))).toBe('configmap/cm replaced\n');
    expect((await get('configmaps', 'cm')).data).toEqual({ c: '4' });
  });

  it('says what is wrong', async () => {
    const manifest = (more: object) => JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'cm' }, ...more });
    expect(await fails('apply -f -', manifest({ datta: {} }))).toMatch(/unknown field "datta"/);
    expect(await fails('create -f -', manifest({ data: { 'a b': 'x' } }))).toMatch(
      /The ConfigMap "cm" is invalid: data\[a b\]: Invalid value/,
    );
    expect(await fails('create -f -', manifest({ kind: 'Nonsense' }))).toMatch(/no matches for kind "Nonsense" in version "v1"/);
    expect(await fails('get nonsense')).toMatch(/the server doesn't have a resource type "nonsense"/);
    expect(await fails('get pod none')).toBe('Error from server (NotFound): pods "none" not found\n');
    expect(await fails('-n none create configmap a')).toContain('namespaces "none" not found');
    await ok('create deployment web --image=nginx');
    expect(await fails('create deployment web --image=nginx')).toContain('deployments.apps "web" already exists');
    const stale = await ok('get deployment web -o json');
    await ok('scale deployment web --replicas=2');
    expect(await fails('replace -f -', stale)).toMatch(
      /Operation cannot be fulfilled on deployments\.apps "web": the object has been modified; please apply your changes to the latest version and try again/,
    );
  });

  it('deletes and waits', async () => {
    await ok('create deployment web --image=nginx');
    await ok('run p --image=nginx');
    expect(await ok('delete pod p --wait=true')).toMatch(/^pod "p" deleted/);
    const waiting = ok('wait --for=condition=Available deployment/web --timeout=20s');
    await patch('patch deployment web --subresource=status --type merge', {
      status: { conditions: [{ type: 'Available', status: 'True' }] },
    });
    expect(await waiting).toBe('deployment.apps/web condition met\n');
    expect(await fails('rollout status deployment web --timeout=1s')).toContain('timed out');
    expect(await ok('delete deployment web')).toMatch(/^deployment\.apps "web" deleted/);
    expect(await ok('get deployments')).toBe('');
    await ok('create configmap a');
    await ok('create configmap b');
    expect(await ok('delete configmap --all')).toMatch(/"a" deleted.*\n.*"b" deleted/);
    await ok('create namespace team');
    await ok('delete namespace team --wait=false');
    expect(await ok('get namespace team')).toMatch(/team +Terminating/);
    expect(await fails('-n team create configmap a')).toContain('because it is being terminated');
  });

  it('follows changes with -w', async () => {
    await ok('create deployment web --image=nginx');
    const child = spawn(file, ['get', 'deployments', '-w'], {
      env: { HOME: folder, KUBECONFIG: join(folder, 'kubeconfig'), PATH: process.env['PATH'] },
    });
    cleanup(() => child.kill('SIGKILL'));
    const closed = once(child, 'close');
    let output = '';
    const shows = async (pattern: RegExp): Promise<void> => {
      for (let i = 0; i < 300 && !pattern.test(output); i++) await new Promise((resolve) => setTimeout(resolve, 50));
      expect(output).toMatch(pattern);
    };
    child.stdout.on('data', (chunk) => (output += chunk));
    await shows(/^NAME.*\nweb +0\/1/);
    await ok('scale deployment web --replicas=5');
    await shows(/\nweb +0\/5 .*\n/);
    child.kill('SIGTERM');
    await closed;
    expect(output.match(/NAME/g)).toHaveLength(1);
  });
});
