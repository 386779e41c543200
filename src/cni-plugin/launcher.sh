#!/bin/sh
# podwire-cni: what a container runtime runs. Hands requests over to the node agent, which has everything running already; GC, VERSION, and everything
# when no agent answers, the executable beside this file does, over the same state. Starts no program but the one `ip` that an ADD needs in
# the pod's namespace. effects/request-slots.ts describes the agent's side.
#
# Nothing here waits for somebody who is gone: a pipe is opened for both sides first, which never waits, and read from a second, one-sided
# opening. So the end of the agent is the end of that pipe. An agent that is stopped is answered for within seconds (effects/request-watch.ts).

# The number of the agent's slots.
slots=512
newline='
'
PATH=${PATH:+$PATH:}/usr/sbin:/usr/bin:/sbin:/bin
export PATH

main() {
  case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
  standalone=$here/podwire-cni.standalone
  agent=$here/podwire-cni.agent
  case ${CNI_COMMAND-} in ADD | DEL | CHECK | STATUS) ;; *) as_is ;; esac
  # No agent has ever been here; or a path that means another namespace to another process; or nobody sends a configuration.
  if ! [ -e "$agent" ] || [ -t 0 ]; then as_is; fi
  case ${CNI_NETNS-} in /proc/self/* | /proc/thread-self/*) as_is ;; esac
  [ -z "${CNI_NETNS_OVERRIDE-}" ] || as_is
  # An agent that is gone has no namespace, and that of another node has another.
  # shellcheck disable=SC3013 # -ef: POSIX.1-2024, and dash, bash and busybox have had it for long
  if { read -r pid run _ <"$agent/current"; } 2>/dev/null && [ /proc/self/ns/net -ef "/proc/$pid/ns/net" ]; then
    # A runtime may mount the pod's namespace where the agent does not see it: in a mount namespace of its own.
    # shellcheck disable=SC3013
    if [ -e "${CNI_NETNS:-/nowhere}" ] && ! [ "$CNI_NETNS" -ef "/proc/$pid/root$CNI_NETNS" ]; then as_is; fi
    read_config
    ask 2>/dev/null && finish
  else
    [ "$CNI_COMMAND" = DEL ] || as_is
    read_config
  fi
  alone
}

# The executable, with standard input as it was.
as_is() {
  [ -x "$standalone" ] || missing
  exec "$standalone"
}

read_config() {
  config=
  while IFS= read -r line; do config=$config$line$newline; done
  config=$config$line
}

# Writes the request to standard output.
request() {
  printf '%s\nCNI_COMMAND=%s\nCNI_CONTAINERID=%s\nCNI_NETNS=%s\nCNI_IFNAME=%s\nCNI_ARGS=%s\nCNI_PATH=%s\n\n%s' "$$" "$CNI_COMMAND" \
    "${CNI_CONTAINERID-}" "${CNI_NETNS-}" "${CNI_IFNAME-}" "${CNI_ARGS-}" "${CNI_PATH-}" "$config"
}

# A line break in a variable would be taken for the next one.
in_one_line() {
  case ${CNI_CONTAINERID-}${CNI_NETNS-}${CNI_IFNAME-}${CNI_ARGS-}${CNI_PATH-} in *"$newline"*) return 1 ;; esac
}

# Asks the agent, and does in the pod's namespace what it has left to do. Sets verdict (0 or 1), result, and done: whether all of it was done.
# Fails when there is no answer, or the agent wants it to be done here.
ask() {
  in_one_line || return 1
  folder=$agent/$run
  [ -p "$folder/requests" ] || return 1
  slot=$(($$ % slots))
  tries=0
  # The file is made by one only: that is the claim on the slot.
  set -C
  until true >"$folder/slots/$slot.request"; do
    tries=$((tries + 1))
    [ "$tries" -lt "$slots" ] || return 1
    slot=$(((slot + 1) % slots))
  done
  set +C
  request >"$folder/slots/$slot.request" || return 1
  # shellcheck disable=SC2094 # both sides of one pipe, on purpose: see above
  {
    printf 'R %s\n' "$slot" 1<>"$folder/requests" || return 1
    # Somebody has to end the waiting if the agent should be stopped.
    [ ! -e "$folder/idle" ] || printf '\n' 1<>"$folder/watch"
    # The pod's `ip` starts while the agent works. It ends with its input.
    pod=
    [ "$CNI_COMMAND" != ADD ] || {
      nsenter --net="$CNI_NETNS" -- ip -batch - <&6 >/dev/null 4>&- 5>&- 6>&- 7>&- &
      pod=$!
    }
    read -r verdict count <&5 || return 1
    lines=
    while [ "$count" -gt 0 ]; do
      IFS= read -r line <&5 || return 1
      lines=$lines$line$newline
      count=$((count - 1))
    done
    result=
    [ "$verdict" = decline ] || IFS= read -r result <&5 || return 1
    [ -z "$lines" ] || printf '%s' "$lines" >&7
    exec 6>&- 7>&-
    done=1
    [ -z "$pod" ] || wait "$pod" || [ -z "$lines" ] || done=
    printf 'D %s %s\n' "$slot" "$$" 1<>"$folder/requests"
  } 4<>"$folder/slots/$slot" 5<"$folder/slots/$slot" 4>&- 7<>"$folder/slots/$slot.pod" 6<"$folder/slots/$slot.pod"
  [ "$verdict" = 0 ] || [ "$verdict" = 1 ]
}

# Prints the agent's answer.
finish() {
  if [ -z "$done" ]; then
    # The executable finds the attachment half done, and does it or tells what is wrong.
    PODWIRE_CNI_CONTINUES=1
    export PODWIRE_CNI_CONTINUES
    alone
  fi
  [ -z "$result" ] || printf '%s\n' "$result"
  exit "$verdict"
}

# Does the request without an agent, although there should be one: a DEL that cannot be done now is left for it.
alone() {
  [ "$CNI_COMMAND" = DEL ] || {
    [ -x "$standalone" ] || missing
    exec "$standalone" <<END
$config
END
  }
  result=$(
    [ -x "$standalone" ] || missing
    exec "$standalone" <<END
$config
END
  ) && exit 0
  verdict=$?
  # Errors in the request itself stay errors.
  case $result in *'"code":1,'* | *'"code":2,'* | *'"code":4,'* | *'"code":6,'* | *'"code":7,'*) ;; *) enqueue 2>/dev/null && exit 0 ;; esac
  printf '%s\n' "$result"
  exit "$verdict"
}

enqueue() {
  in_one_line || return 1
  number=0
  set -C
  until true >"$agent/queue/$$.$number"; do
    number=$((number + 1))
    [ "$number" -lt 100 ] || return 1
  done
  set +C
  request >"$agent/queue/$$.$number"
}

missing() {
  printf '{"cniVersion":"1.0.0","code":100,"msg":"%s is missing, and no node agent answers"}\n' "$standalone"
  exit 1
}

# Last: the shell has read all of this file by now.
main
