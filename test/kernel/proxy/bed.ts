import { type ChildProcess, spawn } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CommandRunner, inNetworkNamespace, systemRunner } from '../../../src/kernel/command-runner.ts';
import { ipBatch } from '../../../src/kernel/ip.ts';
import { addNetworkNamespaces, networkNamespacePath, removeNetworkNamespaces } from '../../../src/kernel/netns.ts';
import { writeSysctls } from '../../../src/kernel/sysctl.ts';
import type { PeerAnswer, PeerRequest, Probe } from './peer-process.ts';
import { addresses, addressOf, type Place, portsOf, setupOf } from './topology.ts';

/** The topology in network namespaces, with a peer process in each place. */
export interface Bed {
  runner(place: Place): CommandRunner;
  path(place: Place): string;
  ask(place: Place, request: PeerRequest): Promise<PeerAnswer>;
  /** Runs a TypeScript file in a place, with IPC; killed at the end. */
  spawn(place: Place, file: string, args: readonly string[]): ChildProcess;
  stop(): Promise<void>;
}

const places = Object.keys(addresses) as Place[];
/** Beside this file, which for user-mode Linux is made JavaScript with it. */
const peerFile = fileURLToPath(new URL(`./peer-process${extname(import.meta.url)}`, import.meta.url));

/** Makes the namespaces and starts the peers; resolves when all of them listen. `tag` tells beds of one process apart; `base` runs all commands. */
export async function startBed(tag = '', base: CommandRunner = systemRunner): Promise<Bed> {
  const nameOf = (place: Place | 'switch'): string => `pwp${process.pid}${tag}-${place}`;
  const path = (place: Place | 'switch'): string => networkNamespacePath(nameOf(place));
  const inside = (place: Place | 'switch'): CommandRunner => inNetworkNamespace(base, path(place));
  const names = [...places, 'switch' as const].map(nameOf);
  const children: ChildProcess[] = [];
  const launch = (place: Place, file: string, args: readonly string[]): ChildProcess => {
    const child = spawn('nsenter', [`--net=${path(place)}`, '--', process.execPath, file, ...args], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    children.push(child);
    return child;
  };
  const stop = async (): Promise<void> => {
    for (const child of children) child.kill('SIGKILL');
    await removeNetworkNamespaces(base, names);
  };

  const peers = new Map<Place, Peer>();
  try {
    await addNetworkNamespaces(base, names);
    // The switch, then the node, which make the links of the others.
    for (const place of ['switch', 'node', ...places.filter((each) => each !== 'node')] as (Place | 'switch')[]) {
      const { sysctls, lines } = setupOf(place, nameOf);
      await writeSysctls(inside(place), sysctls);
      await ipBatch(inside(place), ['link set lo up', ...lines]);
    }
    await Promise.all(
      places.map(async (place) => {
        const own = [...addresses[place].flat(), ...(place === 'node' ? ['127.0.0.1', '::1'] : [])];
        peers.set(
          place,
          await startPeer(place, launch(place, peerFile, [place, JSON.stringify({ addresses: own, ports: portsOf[place] })])),
        );
      }),
    );
    await acquaint(peers);
  } catch (error) {
    await stop();
    throw error;
  }
  return { runner: inside, path, ask: (place, request) => peers.get(place)!.ask(request), spawn: launch, stop };
}

/** The first packets between neighbours may be lost; none of the test's shall be one of them. Every sender reaches an endpoint here and one beyond. */
async function acquaint(peers: ReadonlyMap<Place, Peer>): Promise<void> {
  const targets = ([4, 6] as const).flatMap((family) =>
    (['self', 'here', 'beyond'] as const).map((place) => ({ family, host: addressOf(place, family), port: portsOf[place][0]! })),
  );
  await Promise.all(
    (['node', 'strangers', 'pod', 'self'] as const).map(async (place) => {
      const probes = targets.map(({ family, host, port }): Probe => {
        return { protocol: 'TCP', host, port, from: addressOf(place, family), want: 1, tries: 1, timeout: 10_000 };
      });
      const silent = (await peers.get(place)!.ask({ op: 'probe', probes })).findIndex((answer) => answer.startsWith('!'));
      if (silent >= 0) throw new Error(`${place} does not reach ${targets[silent]!.host}`);
    }),
  );
}

interface Peer {
  ask(request: PeerRequest): Promise<PeerAnswer>;
}

/** Resolves when the peer listens; it answers several requests at the same time. */
function startPeer(place: Place, child: ChildProcess): Promise<Peer> {
  const waiting = new Map<number, (lines: PeerAnswer) => void>();
  let last = 0;
  const peer: Peer = {
    ask: (request) =>
      new Promise((resolve) => {
        const id = ++last;
        waiting.set(id, resolve);
        child.send({ id, request });
      }),
  };
  return new Promise((resolve, reject) => {
    child.on('message', (message: { ready: true } | { id: number; lines: PeerAnswer }) => {
      if ('ready' in message) return resolve(peer);
      waiting.get(message.id)?.(message.lines);
      waiting.delete(message.id);
    });
    child.once('exit', (code) => {
      const lines = [`! the peer in ${place} ended with ${code}`];
      reject(new Error(lines[0]));
      for (const answer of waiting.values()) answer(lines);
    });
  });
}
