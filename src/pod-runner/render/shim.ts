import type { BindMount } from '../volumes/mounts.ts';
import { mountVolumes } from './mount-volumes.ts';
import { sessionCommand, terminalCommand } from './terminal.ts';

/**
 * The fixed scripts around a container's process. Everything that varies is an argument.
 *
 * The first makes the named pipes of the container's streams, and keeps both ends of them open: so they stand while no runner is there to read,
 * and a writer waits instead of being killed. A keeper holds the writing end of standard input; whoever ends the keeper ends the input. This
 * happens before the process namespace is left for a new one, whose first process must be the container's.
 */
const pipes = `io=$1 input=$2
shift 2
mkfifo -m 600 "$io.out" "$io.err" || exit 128
exec 4<>"$io.out" 5<>"$io.err"
if [ "$input" ]; then
  mkfifo -m 600 "$io.in" || exit 128
  sleep infinity 6<>"$io.in" 4>&- 5>&- &
  echo $! >"$io.keeper"
fi
exec "$@"`;

/**
 * The outer one stays as the process's parent, in the container's namespaces except that of processes: it writes down the exit code, so
 * that it is known also to a runner that was not there when the process ended. It is dash's `$?`: 128 + signal number after a signal.
 * (`unshare --fork` would do with one process more, but reports a SIGKILL as exit code 1: util-linux 2.38.) It then keeps the pipes for a
 * runner that has not read the last words yet, ten minutes at most.
 */
const outer = `exit_file=$1 io=$2 input=$3
shift 3
exec 2>/dev/null
"$@" <"$input" >"$io.out" 2>"$io.err" 4>&- 5>&-
echo $? >"$exit_file"
[ ! -e "$io.keeper" ] || { read -r keeper <"$io.keeper"; kill "$keeper"; }
exec sleep 600`;

/** As outer, within a terminal: script(1) takes all out of it before it ends. */
const outerOnTerminal = `exit_file=$1 io=$2
shift 3
exec 3>&2 2>/dev/null
"$@" 2>&3 3>&-
echo $? >"$exit_file"
read -r keeper <"$io.keeper"
kill "$keeper"`;

/** Joins the terminal's own end to the pipes. */
const onPipes = `io=$1
shift
exec "$@" <"$io.in" >"$io.out" 2>&1`;

/**
 * The inner one is the first process of the container's process namespace and turns into the container's own. It still sees the host's
 * /proc when it begins, and there its process id and start time as the host counts them. The folder of namespaces is hidden: it is the
 * host's, and those made later are no mounts here, about each of which `ip` would complain. What goes wrong before the program begins is
 * written to a file of its own and is no output of the container.
 */
const inner = `started=$1 problem=$2 files=$3 hostname=$4 directory=$5 scratch=$6 mounts=$7
shift 7
exec 3>&2 2>>"$problem"
read -r stat </proc/self/stat || exit 128
${mountVolumes}
mount -t proc -o nosuid,nodev,noexec proc /proc || exit 128
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs /sys || :
[ ! -d /run/netns ] || mount -t tmpfs -o ro,nosuid,nodev,noexec,mode=755 tmpfs /run/netns || :
for name in resolv.conf hosts hostname; do
  [ ! -e "$files/$name" ] || [ ! -e "/etc/$name" ] || mount --bind "$files/$name" "/etc/$name" || exit 128
done
printf %s "$hostname" >/proc/sys/kernel/hostname || exit 128
cd "$directory" || exit 128
printf '%s\\n' "$stat" >"$started"
exec 2>&3 3>&-
exec "$@"`;

export interface ShimParts {
  /** Path of the network namespace; undefined stays in the caller's. */
  readonly netns: string | undefined;
  readonly exitFile: string;
  readonly startedFile: string;
  /** Where the scripts say why they could not start the program. */
  readonly problemFile: string;
  /** The named pipes of its streams are `IO.out`, `IO.err` and `IO.in`; `IO.keeper` holds the process id that keeps the last one open. */
  readonly io: string;
  /** Standard input can be written to; without it, it is empty. */
  readonly stdin: boolean;
  /** The process has a terminal, whose path is written to `IO.tty`. */
  readonly tty: boolean;
  /** Folder with the pod's own resolv.conf, hosts and hostname; '' when it has none. */
  readonly filesDir: string;
  readonly hostname: string;
  readonly workingDir: string;
  /** Outer places first. */
  readonly mounts: readonly BindMount[];
  /** A folder for the mounts of the container alone; needed when there are any. */
  readonly scratchDir: string;
  readonly environment: ReadonlyMap<string, string>;
  /** Program (a path, or found by the environment's PATH) and arguments. */
  readonly argv: readonly string[];
}

/** The argument list that starts a container's process. */
export function shimCommand(parts: ShimParts): [string, ...string[]] {
  const { io, tty } = parts;
  const input = parts.stdin || tty;
  const program = environmentCommand(parts.environment, parts.argv);
  const own = [
    'sh',
    '-c',
    inner,
    'podwire-init',
    parts.startedFile,
    parts.problemFile,
    parts.filesDir,
    parts.hostname,
    parts.workingDir,
    parts.scratchDir,
    String(parts.mounts.length),
    ...parts.mounts.flatMap(({ source, target, readOnly }) => [source, target, readOnly ? 'ro' : 'rw']),
    ...(tty ? sessionCommand(program) : program),
  ];
  const outerArguments = ['podwire-shim', parts.exitFile, io, input ? `${io}.in` : '/dev/null'];
  const shim = ['unshare', '--mount', '--uts', '--pid', '--', 'sh', '-c', tty ? outerOnTerminal : outer, ...outerArguments, ...own];
  const shown = tty ? ['sh', '-c', onPipes, 'podwire-terminal', io, ...terminalCommand(shim, `${io}.tty`, undefined)] : shim;
  const piped = ['sh', '-c', pipes, 'podwire-pipes', io, input ? 'yes' : '', ...shown];
  const [first, ...rest] = parts.netns === undefined ? piped : ['nsenter', `--net=${parts.netns}`, '--', ...piped];
  return [first!, ...rest];
}

/** Runs a command with these variables and no others. */
export const environmentCommand = (environment: ReadonlyMap<string, string>, argv: readonly string[]): string[] => [
  'env',
  '-i',
  ...[...environment].map(([name, value]) => `${name}=${value}`),
  ...argv,
];

/** Process id and start time (clock ticks since boot) out of a line of /proc/PID/stat; undefined while the line is not complete. */
export function parseStarted(text: string): { pid: number; startTime: number } | undefined {
  if (!text.endsWith('\n')) return undefined;
  // proc(5): the command in parentheses may hold anything, so the fields are counted from behind it.
  const pid = Number.parseInt(text, 10);
  const startTime = Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19]);
  return pid > 1 && Number.isInteger(startTime) ? { pid, startTime } : undefined;
}

/** The exit code out of an exit file; undefined while it is not complete. */
export const parseExitCode = (text: string): number | undefined => (/^\d{1,3}\n$/.test(text) ? Number(text) : undefined);
