import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/*
 * The first two pages of an lmdb file tell what the rest is, in turn: the one with the greater transaction number counts (lmdb's MDB_meta, after a
 * page header of 24 bytes). All numbers are little-endian on the machines that podwire runs on.
 */
const magicAt = 24;
const pageSizeAt = 48;
const lastPageAt = 144;
const transactionAt = 152;
const magic = 0xbeefc0de;
const metaBytes = 160;

/**
 * Why a file cannot be an lmdb store, in a few words; undefined when it can, or is empty. lmdb itself ends the process when it is given a file of
 * another kind, or one that was cut off.
 */
export function lmdbFileProblem(path: string): string | undefined {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    if (size === 0) return undefined;
    const first = readMeta(file, 0);
    if (!first) return 'it is no lmdb file';
    const second = readMeta(file, first.pageSize);
    const { pageSize, lastPage } = second && second.transaction > first.transaction ? second : first;
    const needed = (lastPage + 1) * pageSize;
    // Pages of a store that was never written to are only there once they are used.
    if (size >= needed || (lastPage === 1 && size >= pageSize)) return undefined;
    return `it was cut off: it has ${size} bytes and needs ${needed}`;
  } finally {
    closeSync(file);
  }
}

function readMeta(file: number, at: number): { pageSize: number; lastPage: number; transaction: number } | undefined {
  const page = Buffer.alloc(metaBytes);
  if (readSync(file, page, 0, metaBytes, at) < metaBytes || page.readUInt32LE(magicAt) !== magic) return undefined;
  const pageSize = page.readUInt32LE(pageSizeAt);
  if (pageSize < 256 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) return undefined;
  return { pageSize, lastPage: Number(page.readBigUInt64LE(lastPageAt)), transaction: Number(page.readBigUInt64LE(transactionAt)) };
}
