import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normalizeImage, parseContainerRecord, podExecCommand, resolveImage } from '../../src/pod-runner/index.ts';
import { containerEnvironment } from '../../src/pod-runner/render/environment.ts';
import { expandReferences } from '../../src/pod-runner/render/expand.ts';
import { launchSpec } from '../../src/pod-runner/render/launch.ts';
import { nameFiles } from '../../src/pod-runner/render/name-files.ts';
import { parseExitCode, parseStarted, shimCommand } from '../../src/pod-runner/render/shim.ts';
import { container, pod } from './states.ts';

const place = { nodeName: 'worker-1', hostIPs: ['192.168.88.12'], podIPs: ['10.244.1.5', 'fd00::5'] };

describe('images', () => {
  test.each([
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.27', 'docker.io/library/nginx:1.27'],
    ['traefik/whoami', 'docker.io/traefik/whoami:latest'],
    ['localhost:5000/a/b', 'localhost:5000/a/b:latest'],
    ['registry.k8s.io/pause:3.10', 'registry.k8s.io/pause:3.10'],
    ['nginx@sha256:00', 'docker.io/library/nginx@sha256:00'],
    ['nginx:1@sha256:00', 'docker.io/library/nginx:1@sha256:00'],
  ])('%s is %s in full', (image, full) => expect(normalizeImage(image)).toBe(full));

  test.each(['nginx', 'docker.io/library/nginx:1.27', 'nginx:alpine', 'mirror.example.com/library/nginx', 'httpd:2', 'traefik/whoami:v1'])(
    '%s is the built-in web server',
    (image) => {
      expect(resolveImage(container('main', { image }))).toMatchObject({
        kind: 'program',
        program: 'web',
        args: ['serve', '--http-port=80'],
      });
    },
  );

  test('the web server listens on the first TCP port that the container declares', () => {
    const ports = [{ containerPort: 53, protocol: 'UDP' as const }, { containerPort: 8080 }];
    expect(resolveImage(container('main', { ports }))).toMatchObject({ args: ['serve', '--http-port=8080'] });
  });

  test('a command runs a program of the host whatever the image; args alone are the command of a userland', () => {
    expect(resolveImage(container('main', { image: 'what/ever', command: ['a'], args: ['b'] }))).toMatchObject({
      kind: 'command',
      argv: ['a', 'b'],
    });
    expect(resolveImage(container('main', { image: 'busybox', args: ['sleep', '5'] }))).toMatchObject({
      kind: 'command',
      argv: ['sleep', '5'],
    });
    expect(resolveImage(container('main', { image: 'alpine:3' }))).toMatchObject({ kind: 'command', argv: ['sh'] });
    expect(resolveImage(container('main', { image: 'registry.k8s.io/e2e-test-images/agnhost:2.53', args: ['netexec'] }))).toMatchObject({
      args: ['netexec'],
    });
  });

  test('an unknown image names the known ones and the way out', () => {
    const found = resolveImage(container('main', { image: 'example.com/secret' }));
    expect(found).toMatchObject({
      kind: 'unknown',
      message: expect.stringMatching(/example\.com\/secret.*nginx.*netshoot.*`command`/) as string,
    });
  });
});

describe('references', () => {
  test.each([
    ['$(A)', 'one'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$one'],
    ['$(B)', '$(B)'],
    ['$A ${A} $( $', '$A ${A} $( $'],
    ['echo $$', 'echo $'],
  ])('%s becomes %s', (text, expected) => expect(expandReferences(text, new Map([['A', 'one']]))).toBe(expected));

  test('text without a dollar stays as it is', () => {
    fc.assert(fc.property(fc.string(), (text) => fc.pre(!text.includes('$')) === undefined && expandReferences(text, new Map()) === text));
  });
});

describe('environment', () => {
  test('fields of the pod, and references to variables before', () => {
    const env = [
      { name: 'IPS', valueFrom: { fieldRef: { fieldPath: 'status.podIPs' } } },
      { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
      { name: 'ALL', value: '$(APP)@$(IPS) $(LATER)' },
      { name: 'LATER', value: 'x' },
    ];
    const found = containerEnvironment(pod({}, { labels: { app: 'web' } }), container('main', { env }), place);
    expect(Object.fromEntries(found)).toMatchObject({ ALL: 'web@10.244.1.5,fd00::5 $(LATER)', HOSTNAME: 'web' });
  });

  test.each(['spec.containers', 'constructor', 'metadata.labels'])('the field path %s is refused by name', (fieldPath) => {
    const env = [{ name: 'X', valueFrom: { fieldRef: { fieldPath } } }];
    expect(() => containerEnvironment(pod(), container('main', { env }), place)).toThrow(fieldPath);
  });

  test('what cannot be had is refused and not left empty', () => {
    const env = [{ name: 'X', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] as never;
    expect(() => containerEnvironment(pod(), container('main', { env }), place)).toThrow(/secret "s" not found/);
  });

  test('a launch holds the expanded command', () => {
    const env = [{ name: 'PORT', value: '8080' }];
    const spec = launchSpec(
      pod(),
      container('main', { command: ['serve', '$(PORT)'], args: ['$(HOSTNAME)'], env, workingDir: '/tmp' }),
      place,
    );
    expect(spec).toMatchObject({ argv: ['serve', '8080', 'web'], workingDir: '/tmp', hostname: 'web', program: undefined });
  });
});

describe('files below /etc', () => {
  const names = { clusterDNS: ['10.96.0.10', 'fd00:10:96::a'], clusterDomain: 'cluster.local' };

  test('a pod asks the DNS of the cluster, with the search path of its namespace', () => {
    expect(nameFiles(pod(), ['10.244.1.5'], names, 'worker-1')['resolv.conf']).toBe(
      'search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\nnameserver fd00:10:96::a\noptions ndots:5\n',
    );
  });

  test('a pod on the network of the host keeps the files of the node, unless it asks for the DNS of the cluster', () => {
    expect(nameFiles(pod({ hostNetwork: true }), [], names, 'worker-1')).toEqual({});
    expect(Object.keys(nameFiles(pod({ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' }), [], names, 'worker-1'))).toEqual([
      'resolv.conf',
    ]);
  });

  test('dnsConfig is added, and stands alone under None', () => {
    const dnsConfig = {
      nameservers: ['1.1.1.1', '2.2.2.2'],
      searches: ['example.com'],
      options: [{ name: 'ndots', value: '2' }, { name: 'rotate' }],
    };
    expect(nameFiles(pod({ dnsConfig }), [], names, '')['resolv.conf']).toMatch(
      /example\.com\nnameserver 10\.96\.0\.10\nnameserver fd00:10:96::a\nnameserver 1\.1\.1\.1\noptions ndots:2 rotate\n$/,
    );
    expect(nameFiles(pod({ dnsPolicy: 'None', dnsConfig }), [], names, '')['resolv.conf']).toBe(
      'search example.com\nnameserver 1.1.1.1\nnameserver 2.2.2.2\noptions ndots:2 rotate\n',
    );
  });

  test('the hosts file names the pod with both addresses, and in its subdomain', () => {
    const { hosts } = nameFiles(
      pod({ hostname: 'db', subdomain: 'dbs', hostAliases: [{ ip: '10.0.0.9', hostnames: ['nine'] }] }),
      ['10.244.1.5', 'fd00::5'],
      names,
      '',
    );
    expect(hosts).toContain(
      '10.244.1.5\tdb.dbs.default.svc.cluster.local\tdb\nfd00::5\tdb.dbs.default.svc.cluster.local\tdb\n10.0.0.9\tnine\n',
    );
  });
});

describe('shim', () => {
  test('everything that varies is an argument of its own', () => {
    const nasty = '$(reboot) `reboot`; "\'\n';
    const parts = {
      netns: '/run/netns/x',
      exitFile: '/e',
      startedFile: '/s',
      problemFile: '/p',
      io: '/io/main.0',
      stdin: false,
      tty: false,
      filesDir: '',
      hostname: 'h',
      workingDir: '/',
      mounts: [{ source: nasty, target: '/m', readOnly: true }],
      scratchDir: '/scratch',
      environment: new Map([['A', nasty]]),
      argv: ['p', nasty],
    };
    const command = shimCommand(parts);
    expect(command.slice(0, 3)).toEqual(['nsenter', '--net=/run/netns/x', '--']);
    expect(command.slice(-3)).toEqual([`A=${nasty}`, 'p', nasty]);
    const scripts = command.filter((_word, index) => command[index - 1] === '-c');
    expect(scripts).toHaveLength(3);
    expect(scripts).toEqual(shimCommand({ ...parts, argv: ['q'] }).filter((_word, index, all) => all[index - 1] === '-c'));
    expect(shimCommand({ ...parts, netns: undefined })[0]).toBe('sh');
  });

  test('a terminal takes the whole in one word of shell, and is made by script(1)', () => {
    const command = shimCommand({
      netns: undefined,
      exitFile: '/e',
      startedFile: '/s',
      problemFile: '/p',
      io: '/io/main.0',
      stdin: false,
      tty: true,
      filesDir: '',
      hostname: 'h',
      workingDir: '/',
      mounts: [],
      scratchDir: '',
      environment: new Map(),
      argv: ['vi', "it's"],
    });
    const line = command[command.indexOf('--command') + 1]!;
    expect(line).toMatch(/^exec 4>&- 5>&-; tty >'\/io\/main\.0\.tty'; exec 'unshare' /);
    expect(line.endsWith(" 'setsid' '--ctty' '--wait' '--' 'env' '-i' 'vi' 'it'\\''s'")).toBe(true);
    // It reads from a pipe that somebody holds open, or it would take its end for Ctrl-D.
    expect(command[command.indexOf('podwire-pipes') + 2]).toBe('yes');
  });

  test('marks count once they are whole', () => {
    const stat = '4711 (a b) c) S 1 4711 4711 0 -1 4194560 78 0 0 0 0 0 0 0 20 0 1 0 224600 2654208 357';
    expect(parseStarted(`${stat}\n`)).toEqual({ pid: 4711, startTime: 224600 });
    expect(parseStarted(stat)).toBeUndefined();
    expect([parseExitCode(''), parseExitCode('13'), parseExitCode('137\n'), parseExitCode('x\n')]).toEqual([
      undefined,
      undefined,
      137,
      undefined,
    ]);
  });
});

describe('state file', () => {
  const record = { namespace: 'default', pod: 'web', uid: 'u1', container: 'main', image: 'nginx', bootID: 'b', announces: true };

  test('gives the command that runs inside', () => {
    const state = { ...record, run: { attempt: 0, phase: 'running' as const }, process: { pid: 42, startTime: 1 } };
    expect(podExecCommand(state, ['curl', 'http://web'])).toEqual(
      'nsenter --target 42 --net --mount --uts --pid --wdns=/ -- curl http://web'.split(' '),
    );
    expect(() => podExecCommand({ ...state, run: { attempt: 0, phase: 'exited' } }, ['true'])).toThrow(
      'container main of pod default/web: is not running (exited)',
    );
  });

  test('anything that is no state file is none', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => parseContainerRecord(text) === undefined));
    const whole = JSON.stringify({ ...record, run: { attempt: 0, phase: 'running' }, process: { pid: 42, startTime: 1 } });
    expect(parseContainerRecord(whole)).toMatchObject({ container: 'main' });
    expect(parseContainerRecord(whole.replace('42', '1'))).toBeUndefined();
    expect(parseContainerRecord(whole.slice(0, -1))).toBeUndefined();
  });
});
