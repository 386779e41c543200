/**
 * The two fixed scripts around a container's process. Everything that varies is an argument.
 *
 * The outer one stays as the process's parent, in the container's namespaces except that of processes: it writes down the exit code, so
 * that it is known also to a runner that was not there when the process ended. It is dash's `$?`: 128 + signal number after a signal.
 * (`unshare --fork` would do with one process more, but reports a SIGKILL as exit code 1: util-linux 2.38.)
 *
 * The inner one is the first process of the container's process namespace and turns into the container's own. It still sees the host's
 * /proc when it begins, and there its process id and start time as the host counts them. The folder of namespaces is hidden: it is the
 * host's, and those made later are no mounts here, about each of which `ip` would complain.
 */
const outer = `exec 3>&2 2>/dev/null
exit_file=$1
shift
"$@" 2>&3 3>&-
echo $? >"$exit_file"`;

const inner = `started=$1 files=$2 hostname=$3 directory=$4
shift 4
read -r stat </proc/self/stat || exit 128
mount -t proc -o nosuid,nodev,noexec proc /proc || exit 128
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs /sys || :
[ ! -d /run/netns ] || mount -t tmpfs -o ro,nosuid,nodev,noexec,mode=755 tmpfs /run/netns || :
for name in resolv.conf hosts hostname; do
  [ ! -e "$files/$name" ] || [ ! -e "/etc/$name" ] || mount --bind "$files/$name" "/etc/$name" || exit 128
done
printf %s "$hostname" >/proc/sys/kernel/hostname || exit 128
cd "$directory" || exit 128
printf '%s\\n' "$stat" >"$started"
exec "$@"`;

export interface ShimParts {
  /** Path of the network namespace; undefined stays in the caller's. */
  readonly netns: string | undefined;
  readonly exitFile: string;
  readonly startedFile: string;
  /** Folder with the pod's own resolv.conf, hosts and hostname; '' when it has none. */
  readonly filesDir: string;
  readonly hostname: string;
  readonly workingDir: string;
  readonly environment: ReadonlyMap<string, string>;
  /** Program (a path, or found by the environment's PATH) and arguments. */
  readonly argv: readonly string[];
}

/** The argument list that starts a container's process. */
export function shimCommand(parts: ShimParts): [string, ...string[]] {
  const environment = [...parts.environment].map(([name, value]) => `${name}=${value}`);
  const own = [
    'sh',
    '-c',
    inner,
    'podwire-init',
    parts.startedFile,
    parts.filesDir,
    parts.hostname,
    parts.workingDir,
    'env',
    '-i',
    ...environment,
    ...parts.argv,
  ];
  const shim = ['unshare', '--mount', '--uts', '--pid', '--', 'sh', '-c', outer, 'podwire-shim', parts.exitFile, ...own];
  const [program, ...rest] = parts.netns === undefined ? shim : ['nsenter', `--net=${parts.netns}`, '--', ...shim];
  return [program!, ...rest];
}

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
