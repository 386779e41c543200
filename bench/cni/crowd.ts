import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Tier } from './driver.ts';

/** Many at once: milliseconds from the start of the first to the end of the last, and addresses that were given twice. */
export interface Crowd {
  readonly add: number;
  readonly remove: number;
  readonly duplicates: number;
}

/** A shell starts a process in a third of the time that Node takes, which would be most of what is measured. Its arguments: see {@link runAll}. */
const script = `
command=$1 count=$2 program=$3 config=$4 folder=$5 id=$6
shift 6
CNI_COMMAND=$command
export CNI_COMMAND CNI_CONTAINERID CNI_NETNS CNI_IFNAME
index=0
while [ "$index" -lt "$count" ]; do
  for CNI_NETNS; do
    CNI_CONTAINERID=$id$index CNI_IFNAME=e$index
    "$program" <"$config" >"$folder/$index" 2>&1 &
    index=$((index + 1))
  done
done
wait
`;

interface CrowdParts {
  readonly tier: Tier;
  readonly count: number;
  /** Path of the node's network namespace, and of the pods'. */
  readonly node: string;
  readonly namespaces: readonly string[];
  readonly cniPath: string;
  /** For files. */
  readonly folder: string;
}

let crowds = 0;

/** So many ADDs at once, and then so many DELs. The pods have no default routes: those that share a namespace would replace each other's. */
export async function runCrowd(parts: CrowdParts): Promise<Crowd> {
  const folder = mkdtempSync(join(parts.folder, 'crowd-'));
  const id = `crowd${crowds++}-`;
  try {
    const add = await runAll('ADD', id, folder, parts);
    const results = Array.from({ length: parts.count }, (_, index) => readFileSync(join(folder, `${index}`), 'utf8'));
    const addresses = results.flatMap((text) => addressesOf(text, parts.tier));
    const remove = await runAll('DEL', id, folder, parts);
    for (let index = 0; index < parts.count; index++) {
      const text = readFileSync(join(folder, `${index}`), 'utf8');
      if (text !== '') throw new Error(`${parts.tier.name}: DEL failed: ${text}`);
    }
    return { add, remove, duplicates: addresses.length - new Set(addresses).size };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function addressesOf(text: string, { name }: Tier): string[] {
  try {
    const addresses = (JSON.parse(text) as { ips: { address: string }[] }).ips.map(({ address }) => address);
    if (addresses.length === 2) return addresses;
  } catch {
    // Told below.
  }
  throw new Error(`${name}: ADD failed: ${text}`);
}

/** Milliseconds. */
async function runAll(
  command: string,
  id: string,
  folder: string,
  { tier, count, node, namespaces, cniPath }: CrowdParts,
): Promise<number> {
  const config = join(folder, 'config');
  writeFileSync(config, JSON.stringify({ ...tier.config, isDefaultGateway: false, isGateway: true }));
  const words = ['--', 'sh', '-c', script, 'crowd', command, `${count}`, tier.program, config, folder, id, ...namespaces];
  const start = performance.now();
  await new Promise<void>((resolve, reject) => {
    execFile(
      'nsenter',
      [`--net=${node}`, ...words],
      { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', CNI_PATH: cniPath }, timeout: 600_000 },
      (error) => (error ? reject(error) : resolve()),
    );
  });
  return performance.now() - start;
}
