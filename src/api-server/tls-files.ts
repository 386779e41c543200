import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type TLSSocket } from 'node:tls';
import type { DaemonContext } from '../runtime/daemon.ts';
import type { TlsFiles } from './options.ts';

/** What a TLS server needs, as Node's tls module takes it. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly minVersion: 'TLSv1.2';
}

/** @throws Error in plain words, naming the flag and the file. */
export function readTlsFiles({ certFile, privateKeyFile, clientCAFile }: TlsFiles): TlsMaterial {
  const read = (file: string, flag: string): string => {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      throw new Error(`${flag}: cannot read ${file}: ${(error as Error).message}`, { cause: error });
    }
  };
  return {
    cert: read(certFile, '--tls-cert-file'),
    key: read(privateKeyFile, '--tls-private-key-file'),
    ca: read(clientCAFile, '--client-ca-file'),
    minVersion: 'TLSv1.2',
  };
}

/** Between two looks at the files (ms). */
const interval = 5_000;

/**
 * Looks at the files every few seconds, and at once on SIGHUP, and tells when they have changed. Files that do not fit each other, as they are
 * while somebody replaces them one by one, are told of once and left alone.
 */
export function watchTlsFiles(
  files: TlsFiles,
  { clock, log }: DaemonContext,
  changed: (next: TlsMaterial, before: TlsMaterial) => void,
  signals: NodeJS.EventEmitter = process,
): { stop(): void } {
  let current = readTlsFiles(files);
  let refused = '';
  const look = (): void => {
    try {
      const next = readTlsFiles(files);
      const text = JSON.stringify(next);
      if (text === JSON.stringify(current) || text === refused) return;
      refused = text;
      createSecureContext(next);
      changed(next, current);
      current = next;
      log.info('certificates re-read');
    } catch (error) {
      log.error({ err: error }, 'the new certificates cannot be used; the old ones stay in use');
    }
  };
  let cancel = (): void => {};
  const turn = (): void => {
    cancel = clock.setTimer(interval, () => {
      look();
      turn();
    });
  };
  turn();
  signals.on('SIGHUP', look);
  return {
    stop() {
      cancel();
      signals.off('SIGHUP', look);
    },
  };
}

/** Longest chain of client certificate, intermediates and authority. */
const longestChain = 5;

/** Whether the client certificate of a connection that stands leads to one of these authorities (PEM). */
export function isTrustedBy(socket: TLSSocket, ca: string): boolean {
  const authorities = (ca.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []).map(
    (pem) => new X509Certificate(pem),
  );
  let certificate = socket.getPeerX509Certificate();
  for (let depth = 0; certificate && depth < longestChain; depth++) {
    const leaf = certificate;
    if (authorities.some((authority) => leaf.checkIssued(authority) && leaf.verify(authority.publicKey))) return true;
    const issuer = leaf.issuerCertificate;
    if (!issuer || !leaf.verify(issuer.publicKey)) return false;
    certificate = issuer;
  }
  return false;
}
