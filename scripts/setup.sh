#!/bin/sh
# Installs what podwire needs on Debian or Ubuntu and builds it: Debian packages, npm packages (a current Node among them), dist/.
# Usage: scripts/setup.sh lab|test     Says nothing of what is there already, so a second run is quick and quiet.
set -eu
cd "$(dirname "$0")/.."

purpose=${1:-lab}
packages="iproute2 iptables nftables conntrack curl util-linux iputils-ping ca-certificates"
case $purpose in
lab) ;;
test) packages="$packages bird2 bind9-dnsutils shellcheck vagrant procps etcd-server etcd-client containernetworking-plugins containerd crun podman busybox-static user-mode-linux ipvsadm ipset kmod" ;;
*)
  echo "setup: unknown purpose '$purpose'; say lab or test" >&2
  exit 2
  ;;
esac

say() { printf '\033[2m· %s\033[0m\n' "$*" >&2; }
[ -t 2 ] || say() { printf '· %s\n' "$*" >&2; }
fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

command -v node >/dev/null 2>&1 || fail "Node.js is not installed; install Node 18 or newer with npm (https://nodejs.org), then run this again"
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 18 ] || fail "Node $(node -v) is too old to install with; Node 18 or newer is needed"
[ "$(id -u)" = 0 ] || fail "root is needed to make network namespaces and to install packages: run it again with sudo"

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
  command -v apt-get >/dev/null 2>&1 || fail "apt-get is not here; install these yourself:$missing"
  say "installing Debian packages:$missing"
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  # A service that a package would start has no business running on the host; the lab starts its own daemons.
  policy=/usr/sbin/policy-rc.d
  made_policy=no
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made_policy=yes
  fi
  # shellcheck disable=SC2086 # a list of words
  if apt-get update -qq >"$log" 2>&1 && apt-get install -y -qq --no-install-recommends $missing >>"$log" 2>&1; then
    installed=yes
  else
    installed=no
  fi
  [ "$made_policy" = no ] || rm -f "$policy"
  if [ "$installed" = no ]; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    fail "apt-get could not install:$missing"
  fi
  rm -f "$log"
fi

# npm leaves node_modules/.package-lock.json behind when it has finished.
if [ ! -e node_modules/.package-lock.json ] || [ -n "$(find package-lock.json -newer node_modules/.package-lock.json)" ]; then
  # npm leaves out native parts whose package does not name the Node that npm itself runs on; so an old Node first installs a current one to run npm with.
  npm=$(readlink -f "$(command -v npm)")
  if [ "$major" -lt 24 ] && head -n 1 "$npm" | grep -q node; then
    case $(uname -m) in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) fail "there is no prebuilt Node for $(uname -m); install Node 24 yourself" ;;
    esac
    toolchain=.toolchain/node_modules/node-linux-$arch/bin
    if [ ! -x "$toolchain/node" ]; then
      say "installing a current Node beside $(node -v)"
      version=$(node -p 'require("./package-lock.json").packages["node_modules/node"].version')
      npm install --prefix .toolchain --no-save --no-audit --no-fund --loglevel=error "node-linux-$arch@$version" >&2 || fail "Node $version could not be installed"
    fi
    set -- env "PATH=$PWD/$toolchain:$PATH" node "$npm"
  else
    set -- npm
  fi
  say "installing npm packages"
  # Not `npm ci`: it refuses a lock file that lacks the native parts for other platforms, and those are not on every registry.
  "$@" install --no-save --no-audit --no-fund --loglevel=error >&2 || fail "npm install failed"
  touch node_modules/.package-lock.json
fi

PATH="$PWD/node_modules/.bin:$PATH"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 24 ] || fail "the npm package 'node' did not install Node 24; remove node_modules and run this again"

newest=$(find src scripts package.json package-lock.json tsconfig.json -type f -newer dist/.built 2>/dev/null | head -n 1 || true)
if [ ! -e dist/.built ] || [ -n "$newest" ]; then
  say "building"
  npm run --silent build >&2 || fail "the build failed"
fi
