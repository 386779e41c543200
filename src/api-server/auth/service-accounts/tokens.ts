import { compactVerify, decodeProtectedHeader, SignJWT } from 'jose';
import { InvalidCredentials } from '../authentication/authenticator.ts';
import type { TokenClaims } from './claims.ts';
import type { SigningKey, VerificationKey } from './keys.ts';

/** A longer token is none of ours. */
const longestToken = 16 * 1_024;

/** Signs claims as a JWT in compact form (RFC 7519, RFC 7515). */
export const signToken = (claims: TokenClaims, { id, algorithm, privateKey }: SigningKey): Promise<string> =>
  new SignJWT(claims as never).setProtectedHeader({ alg: algorithm, kid: id }).sign(privateKey);

/** The claims that a token says it has, unverified; undefined when it is no JWT. */
export function peekClaims(token: string): Readonly<Record<string, unknown>> | undefined {
  if (token.length > longestToken) return undefined;
  const parts = token.split('.');
  if (parts.length !== 3) return undefined;
  try {
    const claims = JSON.parse(Buffer.from(parts[1]!, 'base64url').toString('utf8')) as unknown;
    return typeof claims === 'object' && claims !== null && !Array.isArray(claims) ? (claims as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Verifies the signature with the key that the header names, or with any key when it names none that is known.
 * @returns the claims. @throws InvalidCredentials
 */
export async function verifySignature(token: string, keys: readonly VerificationKey[]): Promise<Readonly<Record<string, unknown>>> {
  const header = readHeader(token);
  const named = keys.filter(({ id }) => id === header.kid);
  for (const { key, algorithm } of named.length > 0 ? named : keys) {
    if (algorithm !== header.alg) continue;
    try {
      const { payload } = await compactVerify(token, key, { algorithms: [algorithm] });
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload)) as Record<string, unknown>;
    } catch {
      // Not by this key.
    }
  }
  throw new InvalidCredentials('no key verifies the signature of the token');
}

function readHeader(token: string): { alg?: string; kid?: string } {
  try {
    return decodeProtectedHeader(token);
  } catch (error) {
    throw new InvalidCredentials(`the token is malformed: ${(error as Error).message}`);
  }
}
