import { sign } from 'node:crypto';
import { readSigningKey } from '../../api-server/auth/service-accounts/keys.ts';
import type { TokenSigner } from '../namespaces/service-account-tokens.ts';

/** Signs with the private key of a PEM text (RS256, ES256, ES384 or ES512). @throws Error in plain words when it holds no such key. */
export function createTokenSigner(pem: string): TokenSigner {
  const { id, algorithm, privateKey } = readSigningKey(pem, 'the private key of service account tokens');
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return (claims) => {
    const content = `${encode({ alg: algorithm, kid: id })}.${encode(claims)}`;
    const signature = sign(`sha${algorithm.slice(2)}`, Buffer.from(content), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return `${content}.${signature.toString('base64url')}`;
  };
}
