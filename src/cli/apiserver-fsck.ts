import { checkObjects, type Finding } from '../api-server/fsck/index.ts';
import { checkEmbedded, repairEmbedded, type StoreFault } from '../storage/embedded-check.ts';
import type { StoredValue } from '../storage/index.ts';
import { maintained, type MaintenanceFlags, print } from './apiserver-maintenance.ts';

interface FsckFlags extends MaintenanceFlags {
  readonly repair: boolean;
}

interface Checked {
  readonly revision: number;
  readonly values: readonly StoredValue[];
  readonly faults: readonly StoreFault[];
  readonly repaired: readonly string[];
}

/** `podwire apiserver fsck`: the process ends with 1 when an error stands. @throws Error in plain words. */
export async function runFsck(flags: FsckFlags): Promise<void> {
  const { revision, values, faults, repaired } = await maintained(flags, {
    embedded: (folder) => checkFolder(folder, flags.repair),
    async etcd(etcd): Promise<Checked> {
      if (flags.repair) throw new Error('--repair is for the embedded store: etcd keeps its revisions and history right itself');
      const snapshot = await etcd.snapshot();
      const found: StoredValue[] = [];
      for await (const page of snapshot.pages) found.push(...page);
      return { revision: snapshot.revision, values: found, faults: [], repaired: [] };
    },
  });
  const { objects, findings: ofObjects } = checkObjects(values);
  const findings: Finding[] = [
    ...faults.map(({ part, key, problem }): Finding => ({ severity: 'error', key, problem: `${part}: ${problem}` })),
    ...ofObjects,
  ];
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const result = { revision, keys: values.length, objects, errors, warnings: findings.length - errors, repaired, findings };
  print(flags, result, toText(result));
  process.exitCode = errors > 0 ? 1 : 0;
}

/** Only what a repair cannot lose an object by is mended: the revision counter and the history. */
async function checkFolder(folder: string, repair: boolean): Promise<Checked> {
  const before = await checkEmbedded(folder);
  const mendable = before.faults.filter(({ part }) => part !== 'values');
  if (!repair || mendable.length === 0) return { ...before, repaired: [] };
  const revision = await repairEmbedded(folder);
  const repaired = [`the store is put to revision ${revision} and its history dropped: watches from before it list anew`];
  return { ...(await checkEmbedded(folder)), repaired };
}

function toText(result: {
  readonly revision: number;
  readonly keys: number;
  readonly objects: number;
  readonly errors: number;
  readonly warnings: number;
  readonly repaired: readonly string[];
  readonly findings: readonly Finding[];
}): string {
  const { revision, keys, objects, errors, warnings, repaired, findings } = result;
  return [
    ...repaired.map((text) => `repaired: ${text}`),
    ...findings.map(({ severity, key, problem }) => `${severity}: ${key && `${key}: `}${problem}`),
    `${keys} keys, ${objects} objects at revision ${revision}: ${errors} errors, ${warnings} warnings`,
  ].join('\n');
}
