import { createPrivateKey, X509Certificate } from 'node:crypto';

/** A certificate as people want to know it. */
export interface CertificateSummary {
  readonly subject: string;
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly issuer: string;
  /** What it may be used for. */
  readonly use: 'authority' | 'server' | 'client' | 'server, client' | 'other';
  readonly names: readonly string[];
  readonly notBefore: string;
  readonly notAfter: string;
  /** Whole days; negative once expired. */
  readonly daysLeft: number;
  readonly serial: string;
  /** SHA-256, as `openssl x509 -fingerprint` prints it. */
  readonly fingerprint: string;
}

const day = 24 * 60 * 60 * 1000;
const serverAuth = '1.3.6.1.5.5.7.3.1';
const clientAuth = '1.3.6.1.5.5.7.3.2';

/** Every certificate in a PEM text, in order. @throws Error for one that cannot be read. */
export const readCertificates = (pem: string): X509Certificate[] =>
  (pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []).map((block) => new X509Certificate(block));

/** `now` is milliseconds since the epoch. */
export function summarize(certificate: X509Certificate, now: number): CertificateSummary {
  const { subject, issuer, subjectAltName, validFromDate, validToDate, serialNumber, fingerprint256 } = certificate;
  const parts = (subject ?? '').split('\n');
  const valuesOf = (field: string): string[] => parts.flatMap((part) => (part.startsWith(`${field}=`) ? part.slice(field.length + 1) : []));
  return {
    subject: parts.join(', '),
    commonName: valuesOf('CN')[0] ?? '',
    organizations: valuesOf('O'),
    issuer: (issuer ?? '').split('\n').join(', '),
    use: useOf(certificate),
    names: (subjectAltName ?? '')
      .split(', ')
      .filter((name) => name !== '')
      .map((name) => name.replace(/^(DNS|IP Address):/, '')),
    notBefore: validFromDate.toISOString(),
    notAfter: validToDate.toISOString(),
    daysLeft: Math.floor((validToDate.getTime() - now) / day),
    serial: serialNumber.toLowerCase(),
    fingerprint: fingerprint256,
  };
}

function useOf({ ca, keyUsage }: X509Certificate): CertificateSummary['use'] {
  if (ca) return 'authority';
  // Node calls the extended key usages keyUsage.
  const usages = (keyUsage as string[] | undefined) ?? [];
  const [server, client] = [usages.includes(serverAuth), usages.includes(clientAuth)];
  if (server) return client ? 'server, client' : 'server';
  return client ? 'client' : 'other';
}

/**
 * What is wrong with a certificate: expired, not yet valid, signed by none of the authorities, or its key is another's. Empty when nothing is.
 * `key` is PEM; undefined does not look at it.
 */
export function problemsOf(
  certificate: X509Certificate,
  authorities: readonly X509Certificate[],
  key: string | undefined,
  now: number,
): string[] {
  const { validFromDate, validToDate } = certificate;
  const problems: string[] = [];
  if (validToDate.getTime() <= now) problems.push(`expired at ${validToDate.toISOString()}`);
  if (validFromDate.getTime() > now) problems.push(`not valid before ${validFromDate.toISOString()}`);
  if (!authorities.some((authority) => isIssuedBy(certificate, authority))) {
    problems.push(`not signed by ${authorities.length === 1 ? 'the authority' : 'any of the authorities'}`);
  }
  if (key !== undefined && !certificate.checkPrivateKey(createPrivateKey(key)))
    problems.push('the private key belongs to another certificate');
  return problems;
}

/** Whether an authority signed a certificate, or is that certificate. */
const isIssuedBy = (certificate: X509Certificate, authority: X509Certificate): boolean =>
  authority.ca &&
  (certificate.fingerprint256 === authority.fingerprint256 ||
    (certificate.checkIssued(authority) && certificate.verify(authority.publicKey)));
