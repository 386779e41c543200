import { describe, expect, it } from 'vitest';
import { KubeconfigError, parseKubeconfig } from '../../src/kube/kubeconfig.ts';
import { renderKubeconfig } from '../../src/kube/pki/kubeconfig-text.ts';

const parse = (text: string, files: Record<string, string> = {}) =>
  parseKubeconfig(text, 'config', (path) => {
    if (files[path] === undefined) throw Object.assign(new Error('no file'), { code: 'ENOENT' });
    return files[path];
  });

const config = (user: string, cluster = 'server: https://10.0.0.1:6443/') => `
apiVersion: v1
kind: Config
current-context: c
contexts: [{ name: c, context: { cluster: k, user: u } }]
clusters: [{ name: k, cluster: { ${cluster} } }]
users: [{ name: u, user: { ${user} } }]
`;

describe('a kubeconfig', () => {
  it('that we wrote is read back', () => {
    const text = renderKubeconfig({
      cluster: 'lab',
      user: 'admin',
      server: 'https://127.0.0.1:6443',
      certificateAuthority: 'CA',
      client: { certificate: 'CERT', key: 'KEY' },
    });
    expect(parse(text)).toEqual({
      server: 'https://127.0.0.1:6443',
      certificateAuthority: 'CA',
      clientCertificate: 'CERT',
      clientKey: 'KEY',
    });
  });

  it('may name files and a token file', () => {
    expect(parse(config('tokenFile: t', 'server: https://h:1, certificate-authority: ca.pem'), { t: 'secret\n', 'ca.pem': 'PEM' })).toEqual(
      {
        server: 'https://h:1',
        certificateAuthority: 'PEM',
        token: 'secret',
      },
    );
  });

  it.each([
    ['exec: { command: x }', undefined, 'user.exec is not supported'],
    ['token: 5', undefined, 'user.token must be a string'],
    ['client-key: gone.pem', undefined, 'user.client-key: gone.pem cannot be read (ENOENT)'],
    ['token: t', 'server: ftp://h', 'cluster.server "ftp://h" is not an http or https URL'],
    ['token: t', 'insecure-skip-tls-verify: true', 'has no server'],
  ])('with { %s } and { %s } is refused: %s', (user, cluster, problem) => {
    expect(() => parse(config(user, cluster))).toThrow(KubeconfigError);
    expect(() => parse(config(user, cluster))).toThrow(problem);
  });

  it('without a current context says how to set one', () => {
    expect(() => parse('kind: Config')).toThrow('has no current-context; set one with kubectl config use-context');
    expect(() => parse(': [')).toThrow('is not YAML');
  });
});
