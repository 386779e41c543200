import type { LinkOutcome } from '../dataplane/links.ts';
import { CniError, cniErrorCodes } from './errors.ts';

/** @throws CniError for the first failure */
export function refuse({ failures }: LinkOutcome, where: string): void {
  const [failure] = failures;
  if (failure)
    throw new CniError(
      cniErrorCodes.kernelRefused,
      `${failure.operation.op} in ${where}: ${failure.detail}`,
      JSON.stringify(failure.operation, plainAddresses),
    );
}

/** Addresses and prefixes as their text. */
const plainAddresses = (_key: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'text' in value ? (value as { text: unknown }).text : value;
