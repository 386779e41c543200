import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TokenAuthenticator } from '../authentication/token.ts';
import type { FindObject } from '../object-lookup.ts';
import type { ServiceAccountOptions } from '../../options.ts';
import { serviceAccountAuthenticator } from './authenticator.ts';
import { readSigningKey, readVerificationKeys, type SigningKey, type VerificationKey } from './keys.ts';
import type { TokenIssuer } from './token-request.ts';

/** The keys and names by which tokens of ServiceAccounts are issued and believed. */
export interface ServiceAccountTokens {
  readonly issuer: TokenIssuer;
  readonly keys: readonly VerificationKey[];
  readonly apiAudiences: readonly string[];
  readonly authenticator: TokenAuthenticator;
}

/** A key for servers that are given none, kept with the store: its tokens outlive a restart. Several API servers must be given one. */
const ownKeyFile = 'service-account.key';

/**
 * Reads the keys that the options name. `dataDir` '' keeps a key that is made in memory alone.
 * @throws Error in plain words when a file cannot be read or holds no usable key.
 */
export function createServiceAccountTokens(
  options: ServiceAccountOptions,
  dataDir: string,
  find: FindObject,
  now: () => number,
): ServiceAccountTokens {
  const { issuers, keyFiles, signingKeyFile, apiAudiences: given, maxTokenExpirationSeconds } = options;
  const signingKey =
    signingKeyFile === undefined ? ownKey(dataDir) : readSigningKey(...contents(signingKeyFile, '--service-account-signing-key-file'));
  const named = keyFiles.flatMap((file) => readVerificationKeys(...contents(file, '--service-account-key-file')));
  const keys = [...new Map([...named, signingKey].map((key) => [key.id, key])).values()];
  const apiAudiences = given.length > 0 ? given : issuers.slice(0, 1);
  return {
    issuer: { name: issuers[0]!, key: signingKey, apiAudiences, maxExpirationSeconds: maxTokenExpirationSeconds, newId: randomUUID, now },
    keys,
    apiAudiences,
    authenticator: serviceAccountAuthenticator({ issuers, keys, apiAudiences, find, now }),
  };
}

/** Text and name of a file. @throws Error naming the flag. */
function contents(file: string, flag: string): [string, string] {
  try {
    return [readFileSync(file, 'utf8'), file];
  } catch (error) {
    throw new Error(`${flag}: cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
}

function ownKey(dataDir: string): SigningKey {
  const file = join(dataDir, ownKeyFile);
  if (dataDir !== '' && existsSync(file)) return readSigningKey(...contents(file, '--data-dir'));
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  if (dataDir !== '') {
    writeFileSync(file, pem, { mode: 0o600 });
    chmodSync(file, 0o600);
  }
  return readSigningKey(pem, 'the new key');
}
