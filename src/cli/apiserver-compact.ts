import { compactEmbedded } from '../storage/embedded-maintenance.ts';
import { bytesText, maintained, type MaintenanceFlags, print } from './apiserver-maintenance.ts';

interface CompactFlags extends MaintenanceFlags {
  readonly revision?: number;
  readonly defragment: boolean;
}

/** `podwire apiserver compact`. @throws Error in plain words. */
export async function runCompact(flags: CompactFlags): Promise<void> {
  await maintained(flags, {
    async embedded(folder) {
      const result = await compactEmbedded(folder, flags.revision);
      const { compactedRevision, bytesBefore, bytesAfter } = result;
      print(
        flags,
        result,
        `history dropped up to revision ${compactedRevision}; ${bytesText(bytesBefore)} before, ${bytesText(bytesAfter)} now`,
      );
    },
    async etcd(etcd) {
      const compactedRevision = await etcd.compact(flags.revision);
      const sizes = flags.defragment ? await etcd.defragment() : undefined;
      const sizeText = sizes ? `; ${bytesText(sizes.before)} before, ${bytesText(sizes.after)} now` : '';
      const bytes = sizes ? { bytesBefore: sizes.before, bytesAfter: sizes.after } : {};
      print(flags, { compactedRevision, ...bytes }, `history dropped up to revision ${compactedRevision}${sizeText}`);
    },
  });
}
