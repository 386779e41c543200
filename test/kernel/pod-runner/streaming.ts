// exec, attach, port-forward and logs from every kubectl through the API server to the pod runner, over WebSocket and over SPDY.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, get, request as httpRequest } from 'node:http';
import { get as httpsGet } from 'node:https';
import { join } from 'node:path';
import t from 'tap';
import { WebSocket } from 'ws';

import { findKubectls } from '../../api-server/kubectl-programs.ts';
import { type Ran, ran, streamingBed, until } from './streaming-bed.ts';

const bed = await streamingBed();
/** Programs that a test has left behind, which it does only when it fails. */
const started = new Set<ChildProcess>();
t.teardown(async () => {
  await Promise.all([...started].map(ended));
  await bed.stop();
});

interface Client {
  readonly name: string;
  readonly file: string;
  readonly env: Readonly<Record<string, string>>;
}
const programs = findKubectls().filter(({ name }, _index, all) => all.length === 1 || name !== 'kubectl');
if (programs.length === 0) throw new Error('kubectl is not installed: these tests need at least one from 1.27 on');
const minor = (name: string): number => Number(/1\.(\d+)$/.exec(name)?.[1] ?? 99);
/** Each kubectl as it is, and those that prefer WebSocket over SPDY besides. */
const clients: readonly Client[] = programs.flatMap(({ name, file }) => [
  { name, file, env: bed.environment },
  ...(minor(name) >= 30
    ? [
        {
          name: `${name} over SPDY`,
          file,
          env: { ...bed.environment, KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false', KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false' },
        },
      ]
    : []),
]);
const newest = clients.findLast(({ name }) => !name.includes('SPDY'))!;
const newestOfBoth = [newest, clients.at(-1)!].filter((client, index, all) => all.indexOf(client) === index);
const kubectl = (client: Client, args: readonly string[], input?: Buffer | string): Promise<Ran> =>
  ran(client.file, args, { env: client.env, ...(input === undefined ? {} : { input }) });

/** The web server of the pods, which answers a body with its hash, and gives `?bytes=` of its own. */
const echo = `require('http').createServer((q, r) => {
  const n = Number(new URL(q.url, 'http://x').searchParams.get('bytes'));
  if (n) return r.end(Buffer.alloc(n, 'x'));
  const h = require('crypto').createHash('sha256');
  q.on('data', (d) => h.update(d)).on('end', () => r.end(h.digest('hex')));
}).listen(8080, '127.0.0.1')`;
await bed.run('web', {
  image: 'debian',
  command: [process.execPath, '-e', echo],
  env: [{ name: 'GREETING', value: 'hello' }],
  workingDir: '/tmp',
});

const big = randomBytes(10_000_000);
const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Processes anywhere whose command line holds the text. */
const running = (text: string): string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').startsWith(text);
    } catch {
      return false;
    }
  });

for (const client of clients) {
  t.test(`${client.name}: exec`, async (t) => {
    const [no, none, stdin, both] = await Promise.all([
      kubectl(client, ['exec', 'web', '--', 'sh', '-c', 'exit 42']),
      kubectl(client, ['exec', 'web', '--', 'nosuch']),
      kubectl(client, ['exec', '-i', 'web', '--', 'sh', '-c', 'cat | sha256sum'], big),
      kubectl(client, ['exec', 'web', '--', 'sh', '-c', 'echo "$GREETING"; pwd; echo wrong >/dev/stderr']),
    ]);
    t.match(no, { code: 42, stdout: '', stderr: 'command terminated with exit code 42\n' });
    t.match(none, {
      code: 127,
      stderr: /exec: "nosuch": executable file not found in \$PATH: unknown\ncommand terminated with exit code 127\n$/,
    });
    t.match(stdin, { code: 0, stdout: `${hash(big)}  -\n`, stderr: '' }, '10 MB of standard input arrive whole');
    t.match(both, { code: 0, stdout: 'hello\n/tmp\n', stderr: 'wrong\n' }, "variables and folder are the container's");
  });

  t.test(`${client.name}: port-forward`, async (t) => {
    const forward = await portForward(client, ['pod/web', ':8080']);
    t.teardown(() => forward.end());
    t.equal(await post(forward.port, big), hash(big));
  });
}

t.test('fifty connections at once, 20 MB down one of them, over one port-forward', async (t) => {
  for (const client of newestOfBoth) {
    const forward = await portForward(client, ['pod/web', ':8080']);
    t.teardown(() => forward.end());
    const bodies = Array.from({ length: 50 }, (_, index) => Buffer.alloc(20_000, index));
    const answers = Promise.all(bodies.map((body) => post(forward.port, body)));
    const [hashes, length] = await Promise.all([answers, fetchLength(forward.port, 20_000_000)]);
    t.same(hashes, bodies.map(hash), client.name);
    t.equal(length, 20_000_000);
  }
});

t.test('a port that nobody listens on is told in the words that people search for', async (t) => {
  for (const client of newestOfBoth) {
    const forward = await portForward(client, ['pod/web', ':81']);
    t.teardown(() => forward.end());
    await t.rejects(post(forward.port, Buffer.from('x')));
    await until('it is told', () =>
      /error forwarding port 81 to pod web_default, uid \S+ .*dial tcp4 127\.0\.0\.1:81: connect: connection refused/.test(forward.said()),
    );
  }
});

t.test('a terminal: its size, also when it changes, Ctrl-C, job control, exit code', async (t) => {
  for (const client of newestOfBoth) {
    const terminal = openTerminal(
      client,
      'stty cols 101 rows 31; tty >"$OUTER"; exec "$KUBECTL" exec -it web -- bash --norc',
      join(bed.folder, 'outer'),
    );
    await terminal.sees(/# $/);
    await terminal.type('stty size; tty\n', /31 101\r\n\/dev\/pts\/\d+/);
    await ran('stty', ['-F', readFileSync(join(bed.folder, 'outer'), 'utf8').trim(), 'cols', '77', 'rows', '22'], { env: bed.environment });
    await until('the new size is known', async () => {
      terminal.write('stty size\n');
      await new Promise((resolve) => setTimeout(resolve, 50));
      return /22 77\r/.test(terminal.text());
    });
    await terminal.type('trap "echo resized" WINCH; sleep 1001\n', /sleep 1001\r/);
    await until('it runs', () => running('sleep 1001').length > 0);
    await terminal.type('\u0003', /\^C/);
    await terminal.type('echo code=$?\n', /code=130/);
    await terminal.type('sleep 1002 & jobs\n', /Running\s+sleep 1002/);
    await terminal.type('kill %1; echo "$TERM $GREETING"; exit 7\n', /xterm hello/);
    t.equal(await terminal.ended, 7, client.name);
  }
});

t.test('cp both ways', async (t) => {
  const [source, inside, back] = ['source', 'inside', 'back'].map((name) => join(bed.folder, name)) as [string, string, string];
  writeFileSync(source, big);
  for (const client of newestOfBoth) {
    t.match(await kubectl(client, ['cp', source, `web:${inside}`]), { code: 0 });
    t.match(await kubectl(client, ['cp', `web:${inside}`, back]), { code: 0 });
    t.ok(readFileSync(back).equals(big), client.name);
  }
});

t.test('logs: followed to the end, the last of them, with times, of the run before, and what cannot be had', async (t) => {
  const script = 'for i in 1 2 3; do echo line $i; echo error $i >&2; sleep 0.1; done; printf "no end"';
  await bed.run('talk', { image: 'debian', command: ['sh', '-c', script] }, { restartPolicy: 'Never' });
  const all = ['line 1', 'error 1', 'line 2', 'error 2', 'line 3', 'error 3', 'no end'].toSorted().join();
  const followed = await Promise.all(clients.map((client) => kubectl(client, ['logs', '-f', 'talk'])));
  // The order of two streams within a millisecond is nobody's.
  for (const { stdout } of followed) t.equal(stdout.split('\n').toSorted().join(), all);
  t.match(await kubectl(newest, ['logs', 'talk', '--tail=1']), { stdout: 'no end' });
  t.match(await kubectl(newest, ['logs', 'talk', '--limit-bytes=6']), { stdout: /^.{6}$/ });
  const timed = await kubectl(newest, ['logs', 'talk', '--timestamps', '--tail=2']);
  t.match(timed.stdout, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z (line|error) 3\n\d{4}-\S+Z no end$/);
  t.match(await kubectl(newest, ['logs', '-l', 'app=talk', '--prefix', '--all-containers', '--tail=1']), {
    stdout: '[pod/talk/main] no end',
  });
  t.match(await kubectl(newest, ['logs', 'talk', '-c', 'none']), { code: 1, stderr: 'error: container none is not valid for pod talk\n' });
  t.match(await kubectl(newest, ['logs', 'talk', '-p']), {
    code: 1,
    stderr: 'Error from server (BadRequest): previous terminated container "main" in pod "talk" not found\n',
  });
  t.match(await kubectl(newest, ['exec', 'talk', '--', 'true']), {
    code: 1,
    stderr: /cannot exec into a container in a completed pod|container not found \("main"\)/,
  });

  await bed.run('again', { image: 'debian', command: ['sh', '-c', 'echo run $(cat /proc/sys/kernel/random/uuid); exit 1'] });
  await until('it has run twice', async () => (await bed.pod('again')).status!.containerStatuses![0]!.restartCount >= 1);
  const [before, now] = await Promise.all([kubectl(newest, ['logs', 'again', '-p']), kubectl(newest, ['logs', 'again'])]);
  t.match(before.stdout, /^run \S{36}\n$/);
  t.match(now.stdout, /^run \S{36}\n$/);
});

t.test('a log of more than one file is followed without a gap', async (t) => {
  const script = 'seq 1 400000';
  await bed.run(
    'much',
    { image: 'debian', command: ['sh', '-c', `while [ ! -e ${bed.folder}/go ]; do sleep 0.05; done; ${script}`] },
    { restartPolicy: 'Never' },
  );
  const following = kubectl(newest, ['logs', '-f', 'much']);
  writeFileSync(join(bed.folder, 'go'), '');
  const { stdout } = await following;
  const lines = stdout.split('\n');
  t.equal(lines.length, 400_000 + 1);
  t.equal(lines.at(-2), '400000');
});

t.test('attach: to what a container writes and reads, and kubectl run -it', async (t) => {
  const script = 'while read -r line; do echo "got $line"; done; echo the end';
  for (const [index, client] of newestOfBoth.entries()) {
    const name = `reader-${index}`;
    await bed.run(name, { image: 'debian', command: ['sh', '-c', script], stdin: true, stdinOnce: true }, { restartPolicy: 'Never' });
    t.match(await kubectl(client, ['attach', '-i', name], 'one\ntwo\n'), { code: 0, stdout: 'got one\ngot two\nthe end\n' });
    await until('it has ended', async () => (await bed.pod(name)).status?.phase === 'Succeeded');

    const override = JSON.stringify({ spec: { nodeName: 'worker-1', terminationGracePeriodSeconds: 0 } });
    const terminal = openTerminal(
      client,
      `stty cols 90 rows 20; exec "$KUBECTL" run -it --rm tty-${index} --image=busybox --restart=Never --overrides='${override}' -- sh`,
      '',
    );
    // As kubectl itself advises: what the shell said before it was attached is not seen.
    await until('a prompt', () => {
      const prompted = terminal.text().endsWith('# ');
      if (!prompted && terminal.text().includes('press')) terminal.write('\n');
      return prompted;
    });
    await until('the size is set', async () => {
      terminal.write('stty size\n');
      await new Promise((resolve) => setTimeout(resolve, 100));
      return /20 90\r/.test(terminal.text());
    });
    await terminal.type('echo $((6 * 7)); exit 3\n', /42\r/);
    t.equal(await terminal.ended, 3, client.name);
  }
});

t.test('a client that is killed leaves nothing in the pod', async () => {
  for (const client of newestOfBoth) {
    const terminals = running('script --quiet').length;
    const script = 'trap "" HUP TERM; sleep 1003 & setsid sleep 1003 & sleep 1003';
    const commands = [
      spawn(client.file, ['exec', '-i', 'web', '--', 'sh', '-c', script], { env: client.env, stdio: ['pipe', 'ignore', 'ignore'] }),
      openTerminal(client, `exec "$KUBECTL" exec -it web -- sh -c '${script}'`, '').child,
    ];
    await until('all run', () => running('sleep 1003').length === 6);
    for (const child of commands) child.kill('SIGKILL');
    await until('none is left', () => running('sleep 1003').length === 0 && running('script --quiet').length === terminals);
  }
});

t.test('WebSocket clients of old: channels, binary and base64, and channels of ports', async (t) => {
  const talk = async (path: string, protocol: string, send: (socket: WebSocket) => void): Promise<{ messages: Buffer[]; code: number }> => {
    const socket = new WebSocket(
      `${bed.url.replace('http', 'ws')}/api/v1/namespaces/default/pods/web/${path}`,
      protocol === '' ? [] : [protocol],
    );
    const messages: Buffer[] = [];
    socket.on('message', (message) => messages.push(message as Buffer));
    await once(socket, 'open');
    send(socket);
    const [code] = (await once(socket, 'close')) as [number];
    return { messages: messages.filter(({ length }) => length > 1), code };
  };
  const exec = 'exec?command=sh&command=-c&command=read+x;echo+$x;exit+5&stdin=true&stdout=true&stderr=true';
  const binary = await talk(exec, 'v4.channel.k8s.io', (socket) => socket.send(Buffer.from('\0word\n')));
  t.same(binary.messages[0], Buffer.from('\u0001word\n'));
  t.match(JSON.parse(binary.messages.at(-1)!.subarray(1).toString()), {
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: '5' }] },
  });
  const base64 = await talk(exec, 'base64.channel.k8s.io', (socket) => socket.send(`0${Buffer.from('word\n').toString('base64')}`));
  t.equal(base64.messages[0]!.toString(), `1${Buffer.from('word\n').toString('base64')}`);

  const forward = await talk('portforward?ports=8080&ports=81', 'v4.channel.k8s.io', (socket) =>
    socket.send(Buffer.from('\0GET /?bytes=3 HTTP/1.0\r\n\r\n')),
  );
  const channel = (number: number): string =>
    Buffer.concat(forward.messages.filter(([first]) => first === number).map((bytes) => bytes.subarray(1))).toString('latin1');
  t.ok(channel(0).startsWith('\u0090\u001fHTTP/1.1 200 OK'));
  t.ok(channel(0).endsWith('xxx'));
  t.ok(channel(3).startsWith('Q\0error forwarding port 81'));
});

t.test('only API servers may use the kubelet API', async (t) => {
  const call = (path: string, identity: { certificate: string; key: string } | undefined): Promise<{ code: number; text: string }> =>
    new Promise((resolve, reject) => {
      const options = {
        ca: bed.credentials.authority,
        ...(identity ? { cert: identity.certificate, key: identity.key } : {}),
        agent: false,
      } as const;
      httpsGet(`${bed.kubeletUrl}${path}`, options, (response) => {
        let text = '';
        response.on('data', (chunk) => (text += chunk));
        response.on('end', () => resolve({ code: response.statusCode!, text }));
      }).on('error', reject);
    });
  t.match(await call('/healthz', bed.credentials), { code: 200, text: 'ok' });
  const pods = JSON.parse((await call('/pods', bed.credentials)).text) as { items: { metadata: { name: string } }[] };
  t.ok(pods.items.some(({ metadata }) => metadata.name === 'web'));
  t.match((await call('/metrics', bed.credentials)).text, /podwire_pod_runner_pods/);
  t.match(await call('/containerLogs/default/web/main', await bed.clientCertificate('system:node:worker-2')), {
    code: 403,
    text: 'Forbidden (user=system:node:worker-2, verb=get, resource=nodes, subresource=proxy)',
  });
  await t.rejects(call('/healthz', undefined), 'a client without a certificate is not let in');
  t.match(await call('/containerLogs/default/nobody/main', bed.credentials), { code: 404, text: 'pod "nobody" does not exist' });
  t.match(await call('/exec/default/web/main?command=true&output=1', bed.credentials), { code: 400, text: /^unable to upgrade/ });
  t.match(await call('/nothing', bed.credentials), { code: 404 });
});

t.test('what a container says while no runner is there is not lost', async (t) => {
  const script = `echo before; while [ ! -e ${bed.folder}/say ]; do sleep 0.05; done; echo meanwhile; exit 9`;
  await bed.run('quiet', { image: 'debian', command: ['sh', '-c', script] }, { restartPolicy: 'Never' });
  await bed.stopRunner();
  writeFileSync(join(bed.folder, 'say'), '');
  await until('it has ended', () => running(`sh -c ${script.slice(0, 20)}`).length === 0);
  await bed.startRunner();
  await until('its end is known', async () => (await bed.pod('quiet')).status?.phase === 'Failed');
  t.match(await kubectl(newest, ['logs', 'quiet']), { code: 0, stdout: 'before\nmeanwhile\n' });
});

async function portForward(
  client: Client,
  args: readonly string[],
): Promise<{ port: number; said: () => string; end: () => Promise<void> }> {
  const child = spawn(client.file, ['port-forward', ...args], { env: client.env });
  started.add(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
  const port = await until('it forwards', () => /127\.0\.0\.1:(\d+)/.exec(said)?.[1]);
  return { port: Number(port), said: () => said, end: () => ended(child) };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function post(port: number, body: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method: 'POST', agent: new Agent() }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += chunk)).on('end', () => resolve(text));
    });
    request.on('error', reject).end(body);
  });
}

const fetchLength = (port: number, bytes: number): Promise<number> =>
  new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: `/?bytes=${bytes}`, agent: new Agent() }, (response) => {
      let length = 0;
      response.on('data', (chunk: Buffer) => (length += chunk.length)).on('end', () => resolve(length));
    }).on('error', reject);
  });

/** Runs a line of shell in a terminal of its own, as somebody at a keyboard would. */
function openTerminal(client: Client, line: string, outer: string) {
  const env = { ...client.env, SHELL: '/bin/sh', KUBECTL: client.file, OUTER: outer, TERM: 'xterm' };
  const child = spawn('script', ['-qefc', line, '/dev/null'], { env });
  started.add(child);
  let text = '';
  child.stdout.on('data', (chunk) => (text += chunk));
  child.stdin.on('error', () => undefined);
  const sees = (pattern: RegExp): Promise<unknown> =>
    until(`the terminal shows ${pattern}`, () => pattern.test(text)).catch((error: Error) => {
      throw new Error(`${error.message}; it shows ${JSON.stringify(text)}`);
    });
  return {
    child,
    text: () => text,
    sees,
    write: (typed: string) => void child.stdin.write(typed),
    async type(typed: string, expected: RegExp): Promise<void> {
      child.stdin.write(typed);
      await sees(expected);
    },
    ended: once(child, 'exit').then(([code]) => code as number | null),
  };
}
