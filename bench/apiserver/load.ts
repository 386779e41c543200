// The clients, in a process of their own: takes one task at a time from its parent and answers with what it measured.
import { Connection, encodeRequest, type Endpoint } from './connection.ts';
import { configMapBody, podBody } from './objects.ts';
import { percentile } from './statistics.ts';

/** What the parent can ask for. Each task opens the connections that it needs before its clock starts, and closes them. */
export type Task =
  | { readonly do: 'request'; readonly method: string; readonly path: string; readonly body?: string }
  | {
      readonly do: 'create';
      readonly what: 'configmaps' | 'pods';
      readonly namespace: string;
      readonly clients: number;
      readonly count: number;
      readonly prefix: string;
    }
  | {
      readonly do: 'update';
      readonly namespace: string;
      readonly names: number;
      readonly clients: number;
      readonly count: number;
      readonly watchers: number;
    }
  | { readonly do: 'get'; readonly paths: readonly string[]; readonly clients: number; readonly count: number }
  | { readonly do: 'list'; readonly path: string; readonly limit: number; readonly times: number }
  | {
      readonly do: 'watch';
      readonly namespace: string;
      readonly watchers: number;
      readonly posts: number;
      readonly gap: number;
      readonly prefix: string;
    };

/** Figures by name. `busy` is the share of one core that this process used meanwhile. */
export type Result = Readonly<Record<string, number>>;

async function run(task: Task, endpoint: Endpoint): Promise<Result> {
  switch (task.do) {
    case 'request': {
      const [connection] = await open(endpoint, 1);
      const { status, body } = await connection!.send(encodeRequest(task.method, task.path, task.body), true);
      connection!.close();
      if (status >= 400 && status !== 409) throw new Error(`${task.method} ${task.path}: ${status} ${body.slice(0, 300)}`);
      return { status };
    }
    case 'create': {
      const makeBody = task.what === 'pods' ? podBody : configMapBody;
      const path = `/api/v1/namespaces/${task.namespace}/${task.what}`;
      const requests = Array.from({ length: task.count }, (_, i) => encodeRequest('POST', path, makeBody(`${task.prefix}-${i}`)));
      return drive(endpoint, task.clients, requests, 201);
    }
    case 'update':
      return update(endpoint, task);
    case 'get': {
      const requests = Array.from({ length: task.count }, (_, i) => encodeRequest('GET', task.paths[i % task.paths.length]!));
      return drive(endpoint, task.clients, requests, 200);
    }
    case 'list':
      return list(endpoint, task);
    case 'watch':
      return watch(endpoint, task);
  }
}

const open = (endpoint: Endpoint, count: number): Promise<Connection[]> =>
  Promise.all(Array.from({ length: count }, () => Connection.open(endpoint)));

/** Sends the requests over so many connections, each with one request under way; the next begins when its answer is complete. */
async function drive(endpoint: Endpoint, clients: number, requests: readonly string[], expected: number): Promise<Result> {
  const connections = await open(endpoint, clients);
  const times: number[] = [];
  let next = 0;
  const start = performance.now();
  await Promise.all(
    connections.map(async (connection) => {
      while (next < requests.length) {
        const request = requests[next++]!;
        const { status, milliseconds } = await connection.send(request);
        if (status !== expected) throw new Error(`${request.split('\r\n', 1)[0]}: ${status}, expected ${expected}`);
        times.push(milliseconds);
      }
    }),
  );
  const seconds = (performance.now() - start) / 1_000;
  for (const connection of connections) connection.close();
  return { perSecond: requests.length / seconds, p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}

/** PUTs over and over, in the order of the names, while watchers count the events. @throws Error when a watcher got too few or too many. */
async function update(endpoint: Endpoint, { namespace, names, clients, count, watchers }: Task & { do: 'update' }): Promise<Result> {
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const follow = await startWatchers(endpoint, path, watchers);
  const requests = Array.from({ length: count }, (_, i) => {
    const name = `u-${i % names}`;
    return encodeRequest('PUT', `${path}/${name}`, configMapBody(name).replace('"42"', `"${Date.now()}-${i}"`));
  });
  const result = await drive(endpoint, clients, requests, 200);
  await follow.until((seen) => seen.every((events) => events >= count), 30_000);
  follow.stop();
  const wrong = follow.seen.find((events) => events !== count);
  if (wrong !== undefined) throw new Error(`a watcher got ${wrong} events of ${count} updates`);
  return result;
}

/** Watchers from now on, each on a connection of its own, that count their events. */
async function startWatchers(endpoint: Endpoint, path: string, count: number) {
  const connections = await open(endpoint, count);
  const seen = connections.map(() => 0);
  const request = await watchFromNow(endpoint, path);
  await Promise.all(connections.map((connection, index) => connection.watch(request, () => seen[index]!++)));
  return {
    seen,
    async until(reached: (seen: readonly number[]) => boolean, milliseconds: number): Promise<void> {
      for (let waited = 0; !reached(seen) && waited < milliseconds; waited += 20) await new Promise((resolve) => setTimeout(resolve, 20));
    },
    stop(): void {
      for (const connection of connections) connection.close();
    },
  };
}

/** The request of a watch that starts at what is now. */
async function watchFromNow(endpoint: Endpoint, path: string): Promise<string> {
  const [connection] = await open(endpoint, 1);
  const { body } = await connection!.send(encodeRequest('GET', `${path}?limit=1`), true);
  connection!.close();
  return encodeRequest('GET', `${path}?watch=1&resourceVersion=${/"resourceVersion":"(\d+)"/.exec(body)?.[1] ?? '0'}`);
}

/** A list, in one piece or page by page; the best of so many times, and the bytes of its bodies. */
async function list(endpoint: Endpoint, { path, limit, times }: Task & { do: 'list' }): Promise<Result> {
  const [connection] = await open(endpoint, 1);
  const took: number[] = [];
  let bytes = 0;
  for (let i = 0; i < times; i++) {
    bytes = 0;
    const start = performance.now();
    let token = '';
    do {
      const query = limit > 0 ? `?limit=${limit}${token && `&continue=${encodeURIComponent(token)}`}` : '';
      const answer = await connection!.send(encodeRequest('GET', path + query), limit > 0);
      if (answer.status !== 200) throw new Error(`GET ${path}${query}: ${answer.status}`);
      bytes += answer.bytes;
      token = /"continue":"([^"]*)"/.exec(answer.body.slice(0, 2_000))?.[1] ?? '';
    } while (token);
    took.push(performance.now() - start);
  }
  connection!.close();
  return { best: Math.min(...took), median: percentile(took, 0.5), bytes };
}

/** From a POST's first byte sent to its event read by each of so many watchers, every one on a connection of its own. */
async function watch(endpoint: Endpoint, { namespace, watchers, posts, gap, prefix }: Task & { do: 'watch' }): Promise<Result> {
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const [poster, ...connections] = await open(endpoint, watchers + 1);
  const sent = new Map<string, number>();
  const times: number[] = [];
  let expected = watchers * posts;
  let all = (): void => {};
  const everything = new Promise<void>((resolve) => {
    all = resolve;
  });
  const request = await watchFromNow(endpoint, path);
  await Promise.all(
    connections.map((connection) =>
      connection.watch(request, (line) => {
        const now = performance.now();
        const at = line.indexOf(`"name":"${prefix}-`) + 8;
        times.push(now - sent.get(line.slice(at, line.indexOf('"', at)))!);
        if (--expected === 0) all();
      }),
    ),
  );
  const late = new Promise<never>((_resolve, reject) => {
    setTimeout(() => reject(new Error(`${expected} of ${watchers * posts} events did not come`)), posts * gap + 30_000).unref();
  });
  for (let i = 0; i < posts; i++) {
    const name = `${prefix}-${i}`;
    const begin = performance.now();
    sent.set(name, begin);
    await poster!.send(encodeRequest('POST', path, configMapBody(name)));
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, gap - (performance.now() - begin))));
  }
  await Promise.race([everything, late]);
  for (const connection of [poster!, ...connections]) connection.close();
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99), max: Math.max(...times.slice(0, 100_000)) };
}

process.on('message', (message: { id: number; task: Task; endpoint: Endpoint }) => {
  const start = performance.now();
  const cpu = process.cpuUsage();
  run(message.task, message.endpoint).then(
    (result) => {
      const { user, system } = process.cpuUsage(cpu);
      process.send!({ id: message.id, result: { ...result, busy: (user + system) / 1_000 / (performance.now() - start) } });
    },
    (error: Error) => process.send!({ id: message.id, error: error.message }),
  );
});
process.on('disconnect', () => process.exit(0));
