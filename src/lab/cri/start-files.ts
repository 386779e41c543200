import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { CommandRunner } from '../../kernel/command-runner.ts';
import { type Clock, sleep } from '../../runtime/clock.ts';
import { LabError } from '../errors.ts';
import {
  type ContainerdLayout,
  type ContainerdNetwork,
  containerdConfig,
  crunScript,
  importCommand,
  loopbackScript,
  startScript,
} from './containerd.ts';
import { pauseArchive } from './pause-image.ts';

/** sun_path of unix(7), less what containerd appends for its second socket, `.ttrpc`. */
const longestSocket = 107 - 6;

/** Writes all that a containerd is started with. @throws LabError, RangeError for an architecture without a pause image */
export async function writeContainerdFiles(layout: ContainerdLayout, network: ContainerdNetwork): Promise<void> {
  if (Buffer.byteLength(layout.socket) > longestSocket)
    throw new LabError(
      `${layout.socket} is too long a path for a socket of containerd; choose a shorter --state-dir, lab name or node name`,
    );
  await mkdir(layout.root, { recursive: true, mode: 0o711 });
  await mkdir(network.cniBinDir, { recursive: true });
  await Promise.all([
    writeFile(layout.configFile, containerdConfig(layout, network), { mode: 0o600 }),
    writeFile(layout.startFile, startScript, { mode: 0o755 }),
    writeFile(layout.runtimeFile, crunScript, { mode: 0o755 }),
    writeFile(join(network.cniBinDir, 'loopback'), loopbackScript, { mode: 0o755 }),
    writeFile(layout.pauseArchive, pauseArchive(process.arch), { mode: 0o644 }),
  ]);
}

/** A containerd that has just been started is given so long (ms). */
const startPatience = 30_000;
const retryInterval = 50;
/** For one archive (ms). */
const importTimeout = 120_000;

/** Gives a containerd its images, the one of sandboxes first, once it answers. @throws LabError naming the archive and containerd's reason */
export async function importImages(
  layout: ContainerdLayout,
  images: readonly string[],
  { runner, clock }: { readonly runner: CommandRunner; readonly clock: Clock },
): Promise<void> {
  await untilListening(layout.socket, clock);
  for (const archive of [layout.pauseArchive, ...images]) {
    const [command, ...args] = importCommand(layout, archive);
    const { exitCode, stderr } = await runner.run(command, args, { timeout: importTimeout, acceptExitCodes: [1] });
    if (exitCode !== 0) throw new LabError(`image ${archive}: ${stderr.trim().split('\n').at(-1)}`);
  }
}

/** Resolves once somebody accepts connections. ctr would wait, too, but a second or more between two tries. */
async function untilListening(socket: string, clock: Clock): Promise<void> {
  for (const end = clock.monotonic() + startPatience; ; await sleep(clock, retryInterval)) {
    const problem = await new Promise<string | undefined>((resolve) => {
      const connection = connect(socket, () => {
        connection.destroy();
        resolve(undefined);
      });
      connection.once('error', ({ message }) => resolve(message));
    });
    if (problem === undefined) return;
    if (clock.monotonic() >= end) throw new LabError(`containerd does not answer within ${startPatience / 1_000} s: ${problem}`);
  }
}
