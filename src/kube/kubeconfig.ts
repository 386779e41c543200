import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';

/** How to reach one API server, resolved from a kubeconfig: file contents are read in, nothing is left to look up. */
export interface ClientConfig {
  /** Origin with an optional path prefix, without a trailing slash: `https://192.168.88.11:6443`. */
  readonly server: string;
  /** PEM. */
  readonly certificateAuthority?: string;
  readonly clientCertificate?: string;
  readonly clientKey?: string;
  readonly token?: string;
  readonly insecureSkipTlsVerify?: boolean;
  readonly tlsServerName?: string;
}

/** A kubeconfig that cannot be used. The message names the file, the field and what to do. */
export class KubeconfigError extends Error {
  constructor(file: string, problem: string) {
    super(`kubeconfig ${file}: ${problem}`);
    this.name = 'KubeconfigError';
  }
}

type Fields = Record<string, unknown>;

/**
 * Reads the current context of a kubeconfig (client.authentication via certificates or tokens; exec plugins are refused by name).
 * Relative file names are relative to the kubeconfig. @throws KubeconfigError
 */
export function loadKubeconfig(file: string, context?: string): ClientConfig {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new KubeconfigError(file, `cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
  }
  return parseKubeconfig(text, file, (path) => readFileSync(resolve(dirname(file), path), 'utf8'), context);
}

/** The pure half of {@link loadKubeconfig}: `readFile` gives the contents of the files it names. */
export function parseKubeconfig(text: string, file: string, readFile: (path: string) => string, contextName?: string): ClientConfig {
  const fail = (problem: string): never => {
    throw new KubeconfigError(file, problem);
  };
  let root: Fields;
  try {
    root = parse(text, { maxAliasCount: 0 }) as Fields;
  } catch (error) {
    return fail(`is not YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  if (typeof root !== 'object' || root === null) return fail('is empty');
  const named = (list: string, field: string, name: string): Fields => {
    const entries = Array.isArray(root[list]) ? (root[list] as Fields[]) : [];
    const entry = entries.find((candidate) => candidate?.['name'] === name);
    const value = entry?.[field];
    if (typeof value !== 'object' || value === null) return fail(`${list} has no entry named ${JSON.stringify(name)}`);
    return value as Fields;
  };
  const text_ = (owner: Fields, path: string, field: string): string | undefined => {
    const value = owner[field];
    if (value === undefined || value === null || value === '') return undefined;
    return typeof value === 'string' ? value : fail(`${path}.${field} must be a string`);
  };
  const pem = (owner: Fields, path: string, field: string): string | undefined => {
    const data = text_(owner, path, `${field}-data`);
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
    const name = text_(owner, path, field);
    if (name === undefined) return undefined;
    try {
      return readFile(name);
    } catch (error) {
      return fail(`${path}.${field}: ${name} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
    }
  };

  const current =
    contextName ?? text_(root, '', 'current-context') ?? fail('has no current-context; set one with kubectl config use-context');
  const context = named('contexts', 'context', current);
  const clusterName = text_(context, 'context', 'cluster') ?? fail(`context ${JSON.stringify(current)} names no cluster`);
  const cluster = named('clusters', 'cluster', clusterName);
  const server = text_(cluster, 'cluster', 'server') ?? fail(`cluster ${JSON.stringify(clusterName)} has no server`);
  if (!/^https?:\/\//.test(server) || !URL.canParse(server))
    return fail(`cluster.server ${JSON.stringify(server)} is not an http or https URL`);
  const userName = text_(context, 'context', 'user');
  const user = userName === undefined ? {} : named('users', 'user', userName);
  for (const field of ['exec', 'auth-provider', 'username']) {
    if (user[field] !== undefined) fail(`user.${field} is not supported; use a client certificate or a token`);
  }
  const tokenFile = text_(user, 'user', 'tokenFile');
  const token = text_(user, 'user', 'token') ?? (tokenFile === undefined ? undefined : readFile(tokenFile).trim());
  return dropUndefined({
    server: server.replace(/\/+$/, ''),
    certificateAuthority: pem(cluster, 'cluster', 'certificate-authority'),
    clientCertificate: pem(user, 'user', 'client-certificate'),
    clientKey: pem(user, 'user', 'client-key'),
    token,
    insecureSkipTlsVerify: cluster['insecure-skip-tls-verify'] === true ? true : undefined,
    tlsServerName: text_(cluster, 'cluster', 'tls-server-name'),
  }) as ClientConfig;
}

const dropUndefined = (fields: Fields): unknown => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
