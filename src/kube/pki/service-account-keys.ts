import { generateKeyPairSync } from 'node:crypto';

/** A key pair that signs and verifies tokens of service accounts, PEM. ECDSA P-256. */
export interface ServiceAccountKeys {
  readonly publicKey: string;
  readonly privateKey: string;
}

export function createServiceAccountKeys(): ServiceAccountKeys {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
