import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';

/** A public key that tokens are verified by. */
export interface VerificationKey {
  /** Hash of the key, as the reference derives it: base64url of SHA-256 of the DER. */
  readonly id: string;
  readonly algorithm: string;
  readonly key: KeyObject;
}

export interface SigningKey extends VerificationKey {
  readonly privateKey: KeyObject;
}

const curves: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

/**
 * All keys of a PEM file: public ones, private ones (whose public half counts) and certificates. @throws Error in plain words, naming the file.
 */
export function readVerificationKeys(pem: string, file: string): VerificationKey[] {
  const blocks = pem.match(/-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g) ?? [];
  // `openssl ecparam` puts the curve's name before the key.
  const keys = blocks.filter((block) => !block.startsWith('-----BEGIN EC PARAMETERS'));
  if (keys.length === 0) throw new Error(`${file} holds no key in PEM`);
  return keys.map((block) =>
    verificationKey(
      parse(() => createPublicKey(block), file),
      file,
    ),
  );
}

/** The private key of a PEM file. @throws Error in plain words, naming the file. */
export function readSigningKey(pem: string, file: string): SigningKey {
  const privateKey = parse(() => createPrivateKey(pem), file);
  return { ...verificationKey(createPublicKey(privateKey), file), privateKey };
}

function parse(read: () => KeyObject, file: string): KeyObject {
  try {
    return read();
  } catch (error) {
    throw new Error(`${file} holds no usable key: ${(error as Error).message}`, { cause: error });
  }
}

function verificationKey(key: KeyObject, file: string): VerificationKey {
  const algorithm = algorithmOf(key);
  if (algorithm === undefined)
    throw new Error(`${file}: tokens are signed with RSA, or with ECDSA on P-256, P-384 or P-521; this key is neither`);
  const der = key.export({ type: 'spki', format: 'der' });
  return { id: createHash('sha256').update(der).digest('base64url'), algorithm, key };
}

function algorithmOf(key: KeyObject): string | undefined {
  if (key.asymmetricKeyType === 'rsa') return 'RS256';
  return key.asymmetricKeyType === 'ec' ? curves[key.asymmetricKeyDetails?.namedCurve ?? ''] : undefined;
}
