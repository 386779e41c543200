import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { bundlePrograms } from './bundle-programs.ts';
import { quoted } from './shell-runner.ts';

// A second kernel for what the machine's own has not (IPVS, dummy links): Debian's user-mode-linux, an ordinary process. It boots on the machine's
// file system, read-only; what its program writes goes to memory, and its output to a temporary folder of the test.

const kernel = '/usr/bin/linux.uml';
const modulesFolder = '/usr/lib/uml/modules';

export interface UmlOptions {
  /** Other TypeScript files that the program starts, which it finds beside its own as `NAME.mjs`. */
  readonly programs?: readonly string[];
  /** Kernel modules to load at once; others come when they are asked for. */
  readonly modules: readonly string[];
  /** Megabytes. Default 1024; only what is touched is taken from the machine. */
  readonly memory?: number;
  /** Milliseconds for all of it, boot included. Default 180 s. */
  readonly timeout?: number;
}

/**
 * Boots the kernel, runs a TypeScript file as its only program, halts. Returns what the program wrote to its standard output.
 * @throws Error with the program's standard error, or with the console, when the program failed or the time was up.
 */
export async function runInUml(file: string, args: readonly string[], options: UmlOptions): Promise<string> {
  for (const path of [kernel, modulesFolder])
    if (!existsSync(path)) throw new Error(`${path} is missing: install the Debian package user-mode-linux`);
  const folder = mkdtempSync(join(tmpdir(), 'podwire-uml-'));
  let child: ChildProcess | undefined;
  const killGroup = (): void => {
    try {
      if (child?.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  };
  process.once('exit', killGroup);
  try {
    await bundlePrograms([file, ...(options.programs ?? [])], folder);
    const init = join(folder, 'init.sh');
    const program = join(folder, `${basename(file, '.ts')}.mjs`);
    writeFileSync(init, initScript(folder, program, args, options.modules), { mode: 0o755 });
    // However this process ends, the kernel and its helpers end with it: they have a process namespace of their own. Its memory is a file, in a
    // tmpfs of its own, wherever the machine's temporary folder is.
    const memory = join(folder, 'memory');
    child = spawn(
      'unshare',
      [
        '--mount',
        ...['setpriv', '--pdeathsig', 'KILL', 'unshare', '--pid', '--fork', '--kill-child=KILL'],
        ...['sh', '-c', mountMemory, 'sh', memory, kernel],
        `mem=${options.memory ?? 1_024}M`,
        'rootfstype=hostfs',
        'rootflags=/',
        'ro',
        `uml_dir=${folder}/`,
      ].concat(['con=null', 'con0=fd:0,fd:1', 'quiet', 'loglevel=3', `init=${init}`]),
      { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: { ...process.env, TMPDIR: memory } },
    );
    let console = '';
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (data: Buffer) => (console = (console + data.toString()).slice(-20_000)));
    const ended = await within(child, options.timeout ?? 180_000);
    killGroup();
    const output = (name: string): string => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : '');
    if (output('code').trim() === '0') return output('stdout');
    const why =
      ended === 'timeout' ? 'did not end in time' : output('code') === '' ? 'did not come up' : `failed with ${output('code').trim()}`;
    throw new Error(`the program in user-mode Linux ${why}\n${output('stderr').slice(-8_000)}\n${console}`);
  } finally {
    process.off('exit', killGroup);
    killGroup();
    rmSync(folder, { recursive: true, force: true });
  }
}

function within(child: ChildProcess, milliseconds: number): Promise<'ended' | 'timeout'> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve('timeout'), milliseconds);
    child.once('error', reject);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve('ended');
    });
  });
}

/** Mounts the first argument, then runs the rest; the process namespace, and all that is left in it, ends with this. */
const mountMemory = 'mkdir "$1" && mount -t tmpfs -o mode=0700 tmpfs "$1" && shift && "$@"';

const initScript = (folder: string, file: string, args: readonly string[], modules: readonly string[]): string => `#!/bin/sh
export PATH=${quoted(`${dirname(process.execPath)}:/usr/sbin:/usr/bin:/sbin:/bin`)} HOME=/run TMPDIR=/run/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/tmp /run/output /run/kernel/lib
mount -t hostfs -o ${quoted(folder)} none /run/output
ln -s ${modulesFolder} /run/kernel/lib/modules
# So the kernel finds the modules that it asks for by itself.
printf '#!/bin/sh\\nexec modprobe -d /run/kernel "$@"\\n' >/run/kernel/modprobe
chmod 755 /run/kernel/modprobe
echo /run/kernel/modprobe >/proc/sys/kernel/modprobe
ip link set lo up
modprobe -d /run/kernel -a ${modules.map(quoted).join(' ')} 2>/run/output/stderr && \\
  ${[process.execPath, file, ...args].map(quoted).join(' ')} >/run/output/stdout 2>>/run/output/stderr
echo $? >/run/output/code
sync
echo o >/proc/sysrq-trigger
sleep 10
`;
