import 'reflect-metadata';
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as never);

/** A certificate with its private key, both PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface ClientIdentity {
  /** User name: the certificate's common name. */
  readonly user: string;
  /** Groups: its organizations. */
  readonly groups: readonly string[];
}

export interface ServerIdentity {
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly addresses: readonly string[];
}

/** A certificate authority that lives as long as its owner keeps it. The keys it makes are ECDSA P-256. */
export interface CertificateAuthority {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  issueClient(identity: ClientIdentity): Promise<KeyPair>;
  issueServer(identity: ServerIdentity): Promise<KeyPair>;
  /**
   * Issues a certificate anew: same subject, names and usages, a new serial number and validity; with the same key, or with a new
   * one. @throws Error when the key is not the certificate's.
   */
  renew(pair: KeyPair, how: { readonly newKey: boolean }): Promise<KeyPair>;
}

/** How long what is issued is valid (days). */
export interface Validity {
  readonly authorityDays?: number;
  readonly days?: number;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const day = 24 * 60 * 60 * 1000;
/** Certificates are valid from a little in the past, for clocks that differ. */
const skew = 5 * 60 * 1000;

/**
 * Makes a new authority, valid for ten years unless told; what it issues is valid for one (RFC 5280 profiles as Kubernetes documents them).
 * `now` is milliseconds since the epoch.
 */
export async function createCertificateAuthority(commonName: string, now: number, validity: Validity = {}): Promise<CertificateAuthority> {
  const keys = await newKeys();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: x500({ commonName, organizations: [] }),
    notBefore: new Date(now - skew),
    notAfter: new Date(now + (validity.authorityDays ?? 3650) * day),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return authorityOf(root, keys, await exportKey(keys.privateKey), algorithm, now, validity);
}

/**
 * An authority from its files, PEM: those made here, and others with an RSA or ECDSA key.
 * @throws Error in plain words when the certificate is no authority's, has expired, or the key is not its own.
 */
export async function loadCertificateAuthority(
  certificate: string,
  key: string,
  now: number,
  validity: Validity = {},
): Promise<CertificateAuthority> {
  const root = new x509.X509Certificate(certificate);
  if (!root.getExtension(x509.BasicConstraintsExtension)?.ca) throw new Error('the certificate is not one of an authority');
  if (root.notAfter.getTime() <= now) throw new Error(`the authority's certificate expired at ${root.notAfter.toISOString()}`);
  const privateKey = createPrivateKey(key);
  checkPair(root, privateKey);
  const signing = signingAlgorithm(privateKey);
  const keys = {
    publicKey: await importPublic(createPublicKey(privateKey), signing),
    privateKey: await importPrivate(privateKey, signing),
  };
  return authorityOf(root, keys, key, signing, now, validity);
}

type SigningAlgorithm =
  | typeof algorithm
  | { name: 'ECDSA'; namedCurve: string; hash: string }
  | { name: 'RSASSA-PKCS1-v1_5'; hash: string };

function authorityOf(
  root: x509.X509Certificate,
  keys: webcrypto.CryptoKeyPair,
  key: string,
  signing: SigningAlgorithm,
  now: number,
  { days = 365 }: Validity,
): CertificateAuthority {
  async function certify(subject: x509.JsonName | string, publicKey: webcrypto.CryptoKey, extensions: x509.Extension[]): Promise<string> {
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial(),
      subject,
      issuer: root.subject,
      notBefore: new Date(now - skew),
      // What an authority has signed is worth nothing once the authority itself has expired.
      notAfter: new Date(Math.min(now + days * day, root.notAfter.getTime())),
      signingAlgorithm: signing,
      publicKey,
      signingKey: keys.privateKey,
      extensions: [...extensions, await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey)],
    });
    return `${certificate.toString('pem')}\n`;
  }

  async function issue(subject: x509.JsonName, usage: x509.ExtendedKeyUsage, extra: x509.Extension[]): Promise<KeyPair> {
    const leaf = await newKeys();
    const certificate = await certify(subject, leaf.publicKey, [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage], false),
      ...extra,
    ]);
    return { certificate, key: await exportKey(leaf.privateKey) };
  }

  return {
    certificate: `${root.toString('pem')}\n`,
    key,
    issueClient: ({ user, groups }) => issue(x500({ commonName: user, organizations: groups }), x509.ExtendedKeyUsage.clientAuth, []),
    issueServer: ({ commonName: server, dnsNames, addresses }) =>
      issue(x500({ commonName: server, organizations: [] }), x509.ExtendedKeyUsage.serverAuth, [
        new x509.SubjectAlternativeNameExtension([
          ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
          ...addresses.map((value) => ({ type: 'ip' as const, value })),
        ]),
      ]),
    async renew({ certificate, key: current }, { newKey }) {
      const old = new x509.X509Certificate(certificate);
      const privateKey = createPrivateKey(current);
      checkPair(old, privateKey);
      const extensions = old.extensions.filter(({ type }) => type !== authorityKeyIdentifier);
      if (newKey) {
        const leaf = await newKeys();
        return { certificate: await certify(old.subject, leaf.publicKey, extensions), key: await exportKey(leaf.privateKey) };
      }
      const publicKey = await importPublic(createPublicKey(privateKey), signingAlgorithm(privateKey));
      return { certificate: await certify(old.subject, publicKey, extensions), key: current };
    },
  };
}

/** RFC 5280 section 4.2.1.1. */
const authorityKeyIdentifier = '2.5.29.35';

function checkPair(certificate: x509.X509Certificate, privateKey: KeyObject): void {
  const own = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  if (!own.equals(Buffer.from(certificate.publicKey.rawData))) throw new Error('the private key is not the key of the certificate');
}

const webCurves: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };

function signingAlgorithm(key: KeyObject): SigningAlgorithm {
  if (key.asymmetricKeyType === 'rsa') return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const namedCurve = webCurves[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (key.asymmetricKeyType !== 'ec' || !namedCurve) throw new Error('only RSA keys and ECDSA keys on P-256, P-384 or P-521 are supported');
  return { name: 'ECDSA', namedCurve, hash: 'SHA-256' };
}

const importPrivate = (key: KeyObject, how: SigningAlgorithm): Promise<webcrypto.CryptoKey> =>
  webcrypto.subtle.importKey('pkcs8', key.export({ type: 'pkcs8', format: 'der' }), how, true, ['sign']);

const importPublic = (key: KeyObject, how: SigningAlgorithm): Promise<webcrypto.CryptoKey> =>
  webcrypto.subtle.importKey('spki', key.export({ type: 'spki', format: 'der' }), how, true, ['verify']);

const newKeys = (): Promise<webcrypto.CryptoKeyPair> => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);

/** 127 random bits: unique, and positive in DER. */
const serial = (): string => `01${randomBytes(15).toString('hex')}`;

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return `-----BEGIN PRIVATE KEY-----\n${der
    .toString('base64')
    .replace(/(.{64})/g, '$1\n')
    .trimEnd()}\n-----END PRIVATE KEY-----\n`;
}

const x500 = ({ commonName, organizations }: { commonName: string; organizations: readonly string[] }): x509.JsonName => [
  ...organizations.map((organization) => ({ O: [organization] })),
  { CN: [commonName] },
];
