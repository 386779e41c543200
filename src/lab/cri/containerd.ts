import { join } from 'node:path';
import { pauseImage } from './pause-image.ts';

/** Everything of one containerd lies below one folder. Short names: a path of a unix socket has 107 bytes at most. */
export interface ContainerdLayout {
  readonly root: string;
  readonly socket: string;
  readonly configFile: string;
  /** Runs crun as containerd is told to. */
  readonly runtimeFile: string;
  /** Starts containerd. */
  readonly startFile: string;
  readonly pauseArchive: string;
}

export const containerdLayout = (root: string): ContainerdLayout => ({
  root,
  socket: join(root, 'sock'),
  configFile: join(root, 'config.toml'),
  runtimeFile: join(root, 'crun'),
  startFile: join(root, 'start'),
  pauseArchive: join(root, 'pause.tar'),
});

export interface ContainerdNetwork {
  readonly cniConfDir: string;
  /** A single folder, which must hold `loopback`, too: containerd runs it for every pod, before the network's own plugins. */
  readonly cniBinDir: string;
}

/**
 * The configuration of a containerd of one's own (config version 2, containerd 1.6 and 1.7): nothing of it lies outside of its folder. The
 * native snapshotter needs no file system of its own kind, so that it works also where the folder lies on an overlay.
 */
export function containerdConfig({ root, socket, runtimeFile }: ContainerdLayout, { cniConfDir, cniBinDir }: ContainerdNetwork): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  const tables: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    grpc: { address: socket },
    'plugins."io.containerd.internal.v1.opt"': { path: join(root, 'opt') },
    [cri]: {
      sandbox_image: pauseImage,
      // The namespaces of pods are then mounted where nobody else looks, and are gone with their last process.
      netns_mounts_under_state_dir: true,
      restrict_oom_score_adj: true,
      disable_cgroup: true,
      disable_apparmor: true,
    },
    [`${cri}.cni`]: { conf_dir: cniConfDir, bin_dir: cniBinDir },
    [`${cri}.containerd`]: { snapshotter, default_runtime_name: 'crun' },
    [`${cri}.containerd.runtimes.crun`]: { runtime_type: 'io.containerd.runc.v2' },
    [`${cri}.containerd.runtimes.crun.options`]: { BinaryName: runtimeFile, Root: join(root, 'runtime') },
  };
  return [
    'version = 2',
    `root = ${toml(join(root, 'data'))}`,
    `state = ${toml(join(root, 'state'))}`,
    ...Object.entries(tables).flatMap(([table, entries]) => [
      '',
      `[${table}]`,
      ...Object.entries(entries).map(([key, value]) => `${key} = ${toml(value)}`),
    ]),
    '',
  ].join('\n');
}

const snapshotter = 'native';

/** A basic string of TOML is escaped as one of JSON. */
const toml = (value: unknown): string => JSON.stringify(value);

/** The low-level runtime without cgroups: a lab gives its pods no limits, and what there is of the machine's cgroups is left alone. */
export const crunScript = '#!/bin/sh\nexec crun --cgroup-manager=disabled "$@"\n';

/** The CNI plugin `loopback`, which containerd insists on: sets `lo` up (CNI spec 0.3.1, which is what containerd asks for). */
export const loopbackScript = `#!/bin/sh
PATH=\${PATH:+$PATH:}/usr/sbin:/usr/bin:/sbin:/bin
case $CNI_COMMAND in
ADD)
  if problem=$(nsenter --net="$CNI_NETNS" -- ip link set dev lo up 2>&1); then
    printf '{"cniVersion":"0.3.1","interfaces":[{"name":"lo","sandbox":"%s"}],"ips":[]}\\n' "$CNI_NETNS"
  else
    printf '{"cniVersion":"0.3.1","code":5,"msg":"lo cannot be set up in %s","details":"%s"}\\n' "$CNI_NETNS" "$(printf %s "$problem" | tr -d '"\\\\\\n')"
    exit 1
  fi
  ;;
VERSION) printf '{"cniVersion":"0.3.1","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0"]}\\n' ;;
esac
`;

/**
 * Starts containerd with the folder as argument, in a mount namespace of its own: what it mounts is seen by nobody else; its shims' sockets, which
 * containerd has below /run/containerd whatever its configuration says, lie in the folder; and it sees no cgroups, since crun, also without using
 * them, refuses machines that have both versions or none (crun 1.8). A keeper holds the namespace while containerd is started again, since the
 * pods' network namespaces are mounted in it.
 */
export const startScript = `#!/bin/sh
set -eu
root=$1
keeper=$root/keeper
if [ -e "$keeper" ] && read -r pid <"$keeper" && [ "$(tr '\\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)" = "tail -f $keeper " ]; then
  exec nsenter --mount="/proc/$pid/ns/mnt" -- containerd --config "$root/config.toml"
fi
mkdir -p "$root/shims" /run/containerd
# shellcheck disable=SC2016 # for the inner shell
exec unshare --mount --propagation=private sh -euc '
  mount --bind "$1/shims" /run/containerd
  mount -t tmpfs none /sys/fs/cgroup
  : >"$2"
  tail -f "$2" >/dev/null 2>&1 &
  echo $! >"$2"
  exec containerd --config "$1/config.toml"
' sh "$root" "$keeper"
`;

export const containerdCommand = ({ startFile, root }: ContainerdLayout): readonly [string, ...string[]] => ['sh', startFile, root];

/** Imports an image archive where the CRI of a containerd finds it. */
export const importCommand = ({ socket }: ContainerdLayout, archive: string): readonly [string, ...string[]] => [
  'ctr',
  '--address',
  socket,
  '--namespace',
  'k8s.io',
  'images',
  'import',
  '--snapshotter',
  snapshotter,
  archive,
];
