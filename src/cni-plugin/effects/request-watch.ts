import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../runtime/clock.ts';

/** Milliseconds between two signs of life. */
const beatInterval = 1_000;

/** Seconds between two looks of the watch. */
const lookInterval = 3;

/**
 * An agent that is stopped is not waited for once a look finds it so. One that runs and gives no sign of life may wait for a disk: as long as
 * there is hope, to wait is better than to start many executables at once on a machine that is too busy already.
 */
const mostLooks = 10;

/**
 * A process beside the agent that looks after launchers while the agent cannot: when it is stopped (SIGSTOP), or stuck. A
 * launcher is a shell, which cannot wait for a limited time without starting a program at each request. In the run folder:
 *
 *     watch             a pipe: whoever writes to it wakes the watch
 *     idle              there while the watch sleeps until it is woken
 *     beat              its time is the agent's last sign of life
 *     slots/N.withdrawn the watch has answered the request in the agent's place: to be done by the launcher itself, and no more by the agent
 *
 * Costs nothing while no request is under way, and one `sleep` every few seconds else. When the agent is gone it removes the run folder (its
 * arguments: the folder, the link to it, the file `current`, the agent's process id, how many looks without a sign of life) and ends.
 * `cd -P`: the link may lead nowhere by then.
 */
const script = `
cd -P "$1" || exit 1
folder=$PWD
waiting() {
  for request in slots/*.request; do
    [ ! -e "$request" ] || [ -e "\${request%.request}.withdrawn" ] || return 0
  done
  return 1
}
# Stopped, or gone.
stopped() {
  stat=
  read -r stat 2>/dev/null <"/proc/$4/stat"
  case \${stat##*) } in [Tt]* | '') return 0 ;; esac
  return 1
}
withdraw() {
  if { read -r _ run _ <"$3"; } 2>/dev/null && [ "$run" = "\${2##*/}" ]; then rm -f "$3"; fi
  for request in slots/*.request; do
    slot=\${request%.request}
    if [ ! -e "$request" ] || [ -e "$slot.withdrawn" ]; then continue; fi
    : >"$slot.withdrawn"
    printf 'decline 0\\n' 1<>"$slot"
  done
}
while :; do
  : >idle
  waiting || read -r _ || break
  rm -f idle
  silent=0
  while waiting; do
    : >looked
    sleep ${lookInterval}
    silent=$((silent + 1))
    if [ beat -nt looked ]; then silent=0; fi
    if [ "$silent" -gt 0 ] && { stopped "$@" || [ "$silent" -ge "$5" ]; }; then withdraw "$@"; fi
  done
done
cd / && rm -rf "$folder" && { [ -e "$2" ] || rm -f "$2"; }
`;

export interface RequestWatch {
  close(): void;
}

/**
 * Starts the watch over a run folder whose pipes exist. It holds nothing of this process but what tells that it has ended.
 * @param runFolder the folder, or a link to it
 * @param looks so many looks, three seconds apart, an agent that runs may give no sign of life
 */
export function startRequestWatch(runFolder: string, currentFile: string, clock: Clock, looks: number = mostLooks): RequestWatch {
  const beat = join(runFolder, 'beat');
  writeFileSync(beat, '', { mode: 0o600 });
  // Open for both sides here, so that the watch reads its end only when this process has ended.
  const kept = openSync(join(runFolder, 'watch'), constants.O_RDWR | constants.O_NONBLOCK);
  const theirs = openSync(join(runFolder, 'watch'), constants.O_RDONLY);
  const child = spawn('sh', ['-c', script, 'request-watch', runFolder, runFolder, currentFile, `${process.pid}`, `${looks}`], {
    detached: true,
    stdio: [theirs, 'ignore', 'ignore'],
    cwd: '/',
  });
  closeSync(theirs);
  // Without it a stuck agent is waited for; that it is there cannot be worth more than the agent.
  child.on('error', () => undefined);
  child.unref();
  let cancel = clock.setTimer(beatInterval, beatAgain);
  function beatAgain(): void {
    const now = clock.now() / 1_000;
    utimesSync(beat, now, now);
    cancel = clock.setTimer(beatInterval, beatAgain);
  }
  return {
    close() {
      cancel();
      closeSync(kept);
      // Its group: it may wait for a sleep.
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGTERM');
    },
  };
}
