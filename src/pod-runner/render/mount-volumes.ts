/**
 * Part of the script that becomes a container (sh): mounts its volumes at their places, `$mounts` times source, target and ro or rw. The
 * container's file system is the node's, so a place that is not there must not be made on the node: the folder above it gets an overlay of its
 * own in this container's mount namespace; and where that folder is the root itself, a new root is made out of the old one's entries.
 */
export const mountVolumes = `own=
own_root() {
  mount -t tmpfs -o mode=755 tmpfs "$scratch" || return 1
  for entry in /* /.[!.]*; do
    if [ -L "$entry" ]; then cp -P "$entry" "$scratch/"
    elif [ -d "$entry" ]; then mkdir "$scratch$entry" && mount --rbind "$entry" "$scratch$entry"
    elif [ -e "$entry" ]; then : >"$scratch$entry" && mount --bind "$entry" "$scratch$entry"
    fi || return 1
  done
  mkdir "$scratch/.old" && cd "$scratch" && pivot_root . .old && cd / && umount -l /.old && rmdir /.old
}
own_folder() {
  layer=$scratch/$mounts
  mkdir -p "$layer" && mount -t tmpfs tmpfs "$layer" && mkdir "$layer/up" "$layer/work" && chmod --reference="$1" "$layer/up" &&
    mount -t overlay -o "lowerdir=$1,upperdir=$layer/up,workdir=$layer/work" overlay "$1"
}
make_place() {
  [ ! -e "$2" ] || return 0
  base=$2
  while [ ! -d "$base" ]; do base=\${base%/*}; [ "$base" ] || base=/; done
  case " $own " in
    *" $(stat -Lc %d "$base") "*) ;;
    *)
      if [ "$base" = / ]; then own_root; else own_folder "$base"; fi || return 1
      own="$own $(stat -Lc %d "$base")" ;;
  esac
  if [ -d "$1" ]; then mkdir -p "$2"; else mkdir -p "\${2%/*}" && : >"$2"; fi
}
while [ "$mounts" -gt 0 ]; do
  make_place "$1" "$2" && mount --bind "$1" "$2" || exit 128
  [ "$3" = rw ] || mount -o remount,bind,ro "$2" || exit 128
  shift 3
  mounts=$((mounts - 1))
done`;
