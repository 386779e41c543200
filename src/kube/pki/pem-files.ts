import { readFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';
import type { KeyPair } from './authority.ts';

/** A certificate in a file, with its key if the file or its neighbour holds it. */
export interface StoredPair {
  readonly file: string;
  /** PEM. */
  readonly certificate: string;
  readonly key: string | undefined;
  /** The texts of the files that hold them, once the pair is replaced. */
  replaced(pair: KeyPair): readonly { readonly file: string; readonly text: string }[];
}

interface KubeconfigUser {
  user?: Record<string, unknown>;
}

/**
 * Reads a certificate with its key: `NAME.crt` beside `NAME.key`, one PEM file with both, or the inline client certificate of a kubeconfig.
 * @throws Error in plain words naming the file.
 */
export function readPair(file: string, keyFile = file.replace(/\.(crt|pem|cert)$/, '.key')): StoredPair {
  const text = read(file);
  if (!text.includes('-----BEGIN ')) return readKubeconfigPair(file, text);
  const certificate = block(text, 'CERTIFICATE');
  if (!certificate) throw new Error(`${file} holds no certificate in PEM`);
  const own = block(text, '[A-Z ]*PRIVATE KEY');
  if (own) return { file, certificate, key: own, replaced: (pair) => [{ file, text: pair.certificate + pair.key }] };
  return {
    file,
    certificate,
    key: keyFile === file ? undefined : readIfThere(keyFile),
    replaced: (pair) => [
      { file: keyFile, text: pair.key },
      { file, text: pair.certificate },
    ],
  };
}

function readKubeconfigPair(file: string, text: string): StoredPair {
  const kubeconfig = parse(text, { maxAliasCount: 0 }) as { users?: KubeconfigUser[] } | null;
  const user = (kubeconfig?.users ?? []).find((each) => each.user?.['client-certificate-data'])?.user;
  if (!kubeconfig || !user) throw new Error(`${file} is neither PEM nor a kubeconfig with an inline client certificate`);
  const decode = (field: string): string => Buffer.from(String(user[field] ?? ''), 'base64').toString('utf8');
  return {
    file,
    certificate: decode('client-certificate-data'),
    key: decode('client-key-data') || undefined,
    replaced(pair) {
      user['client-certificate-data'] = Buffer.from(pair.certificate).toString('base64');
      user['client-key-data'] = Buffer.from(pair.key).toString('base64');
      return [{ file, text: stringify(kubeconfig) }];
    },
  };
}

const block = (text: string, label: string): string | undefined =>
  new RegExp(`-----BEGIN (${label})-----[\\s\\S]+?-----END \\1-----\n?`).exec(text)?.[0];

/** @throws Error in plain words. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`, { cause: error });
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
