import { ociArchive } from './oci-archive.ts';

/** The image of a sandbox's own process. Not a registry's name: nothing is to be pulled in its place. */
export const pauseImage = 'localhost/podwire-pause:1';

/** An archive with {@link pauseImage}. @throws RangeError for an architecture without one */
export function pauseArchive(architecture: string): Buffer {
  const program = pauseProgram(architecture);
  return ociArchive({ name: pauseImage, files: [{ path: 'pause', content: program }], entrypoint: ['/pause'] }, architecture);
}

/** ELF machine number and machine code of "sleep until a signal comes, for ever". */
const programs: Readonly<Record<string, { readonly machine: number; readonly code: readonly number[] }>> = {
  // mov eax, 34 (pause); syscall; jmp to the start
  x64: { machine: 62, code: [0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7] },
  // mov x8, 73 (ppoll, as there is no pause); mov x0 to x3, 0; svc 0; b to the start
  arm64: {
    machine: 183,
    code: [0xd2800928, 0xd2800000, 0xd2800001, 0xd2800002, 0xd2800003, 0xd4000001, 0x17fffffa].flatMap((word) => [
      word & 0xff,
      (word >>> 8) & 0xff,
      (word >>> 16) & 0xff,
      word >>> 24,
    ]),
  },
};

const headerLength = 64;
const programHeaderLength = 56;
const loadAddress = 0x400000n;

/** A static executable that waits. As large as needed: an ELF header, one segment to load, the code. System V ABI, chapters 4 and 5. */
function pauseProgram(architecture: string): Buffer {
  const program = programs[architecture];
  if (!program) throw new RangeError(`no pause program is known for the architecture ${architecture}`);
  const start = headerLength + programHeaderLength;
  const file = Buffer.alloc(start + program.code.length);
  // Class 64 bit, little endian, version 1.
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(program.machine, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(loadAddress + BigInt(start), 24);
  file.writeBigUInt64LE(BigInt(headerLength), 32);
  file.writeUInt16LE(headerLength, 52);
  file.writeUInt16LE(programHeaderLength, 54);
  file.writeUInt16LE(1, 56);
  // PT_LOAD, readable and executable, the whole file.
  file.writeUInt32LE(1, 64);
  file.writeUInt32LE(5, 68);
  file.writeBigUInt64LE(loadAddress, 80);
  file.writeBigUInt64LE(loadAddress, 88);
  file.writeBigUInt64LE(BigInt(file.length), 96);
  file.writeBigUInt64LE(BigInt(file.length), 104);
  file.writeBigUInt64LE(0x1000n, 112);
  file.set(program.code, start);
  return file;
}
