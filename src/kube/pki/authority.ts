import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
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

/** A certificate authority that lives as long as its owner keeps it. All keys are ECDSA P-256. */
export interface CertificateAuthority {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  issueClient(identity: ClientIdentity): Promise<KeyPair>;
  issueServer(identity: ServerIdentity): Promise<KeyPair>;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const day = 24 * 60 * 60 * 1000;
/** Certificates are valid from a little in the past, for clocks that differ. */
const skew = 5 * 60 * 1000;

/** Makes a new authority, valid for ten years; what it issues is valid for one (RFC 5280 profiles as Kubernetes documents them). */
export async function createCertificateAuthority(commonName: string, now: number): Promise<CertificateAuthority> {
  const keys = await newKeys();
  const name = x500({ commonName, organizations: [] });
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name,
    notBefore: new Date(now - skew),
    notAfter: new Date(now + 3650 * day),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });

  async function issue(subject: x509.JsonName, usage: x509.ExtendedKeyUsage, extra: x509.Extension[]): Promise<KeyPair> {
    const leaf = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial(),
      subject,
      issuer: root.subject,
      notBefore: new Date(now - skew),
      notAfter: new Date(now + 365 * day),
      signingAlgorithm: algorithm,
      publicKey: leaf.publicKey,
      signingKey: keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([usage], false),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
        ...extra,
      ],
    });
    return { certificate: `${certificate.toString('pem')}\n`, key: await exportKey(leaf.privateKey) };
  }

  return {
    certificate: `${root.toString('pem')}\n`,
    key: await exportKey(keys.privateKey),
    issueClient: ({ user, groups }) => issue(x500({ commonName: user, organizations: groups }), x509.ExtendedKeyUsage.clientAuth, []),
    issueServer: ({ commonName: server, dnsNames, addresses }) =>
      issue(x500({ commonName: server, organizations: [] }), x509.ExtendedKeyUsage.serverAuth, [
        new x509.SubjectAlternativeNameExtension([
          ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
          ...addresses.map((value) => ({ type: 'ip' as const, value })),
        ]),
      ]),
  };
}

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
