import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { command } from '../../src/cli/pki.ts';
import { createCertificateAuthority, loadCertificateAuthority } from '../../src/kube/pki/authority.ts';
import { problemsOf, readCertificates, summarize } from '../../src/kube/pki/inspect.ts';
import { readPair } from '../../src/kube/pki/pem-files.ts';

const folders: string[] = [];
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'podwire-pki-'));
  folders.push(made);
  return made;
}
afterEach(() => {
  for (const made of folders.splice(0)) rmSync(made, { recursive: true, force: true });
});

/** Runs the command in this process: what it printed, and the exit code that the program would have. */
async function pki(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
  const pkiCommand = command();
  for (const each of [pkiCommand, ...pkiCommand.commands])
    each.exitOverride().configureOutput({ writeOut: (text) => (out += text), writeErr: () => {} });
  try {
    await pkiCommand.parseAsync(args, { from: 'user' });
    return { code: Number(process.exitCode ?? 0), out, err: '' };
  } catch (error) {
    const { message, exitCode } = error as CommanderError;
    return { code: error instanceof CommanderError ? (exitCode === 0 ? 0 : 2) : 1, out, err: message };
  } finally {
    write.mockRestore();
    process.exitCode = 0;
  }
}

const day = 24 * 60 * 60 * 1_000;
const read = (...parts: string[]): string => readFileSync(join(...parts), 'utf8');

describe('podwire pki', () => {
  it('makes all that a cluster needs, for its owner alone, and checks it', async () => {
    const dir = folder();
    expect((await pki('ca', '--dir', dir)).out).toBe(`${join(dir, 'ca.crt')}\n${join(dir, 'ca.key')}\n`);
    expect(
      (await pki('server', 'apiserver', '--dir', dir, '--dns-name', 'kubernetes', '--address', '127.0.0.1', '--address', 'fd00::1')).code,
    ).toBe(0);
    expect(
      (
        await pki(
          'client',
          'admin',
          '--dir',
          dir,
          '--user',
          'kubernetes-admin',
          '--group',
          'system:masters',
          '--server',
          'https://127.0.0.1:6443/',
        )
      ).code,
    ).toBe(0);
    expect((await pki('service-account', '--dir', dir)).code).toBe(0);
    const names = ['ca.crt', 'ca.key', 'apiserver.crt', 'apiserver.key', 'admin.kubeconfig', 'sa.key', 'sa.pub'];
    for (const name of names) expect([name, statSync(join(dir, name)).mode & 0o777]).toEqual([name, 0o600]);
    expect(read(dir, 'admin.kubeconfig')).toContain('server: https://127.0.0.1:6443\n');
    const shown = await pki('show', '-o', 'json', join(dir, 'apiserver.crt'), join(dir, 'admin.kubeconfig'), join(dir, 'ca.crt'));
    expect(JSON.parse(shown.out)).toMatchObject([
      { use: 'server', commonName: 'apiserver', names: ['kubernetes', '127.0.0.1', 'FD00:0:0:0:0:0:0:1'], daysLeft: 364 },
      { use: 'client', commonName: 'kubernetes-admin', organizations: ['system:masters'] },
      { use: 'authority', commonName: 'kubernetes', daysLeft: 3649 },
    ]);
    const all = ['ca.crt', 'apiserver.crt', 'admin.kubeconfig'].map((name) => join(dir, name));
    expect(await pki('verify', '--ca-file', join(dir, 'ca.crt'), ...all)).toMatchObject({
      code: 0,
      out: all.map((file) => `${file}: OK\n`).join(''),
    });
  });

  it('renews for the same names, and with a new key when told', async () => {
    const dir = folder();
    await pki('ca', '--dir', dir);
    await pki('server', 's', '--dir', dir, '--dns-name', 'a.example', '--days', '10');
    await pki('client', 'c', '--dir', dir, '--user', 'u', '--server', 'https://x');
    const [certificate, key, kubeconfig] = [read(dir, 's.crt'), read(dir, 's.key'), read(dir, 'c.kubeconfig')];
    expect((await pki('renew', '--dir', dir, join(dir, 's.crt'), join(dir, 'c.kubeconfig'))).code).toBe(0);
    expect(read(dir, 's.key')).toBe(key);
    const [before, after] = [certificate, read(dir, 's.crt')].map((pem) => summarize(readCertificates(pem)[0]!, Date.now()));
    expect(after).toMatchObject({ subject: before!.subject, names: before!.names, use: 'server', daysLeft: 364 });
    expect(after!.serial).not.toBe(before!.serial);
    expect(read(dir, 'c.kubeconfig')).not.toBe(kubeconfig);
    expect((await pki('renew', '--dir', dir, '--new-key', join(dir, 's.crt'))).code).toBe(0);
    expect(read(dir, 's.key')).not.toBe(key);
    expect((await pki('verify', '--ca-file', join(dir, 'ca.crt'), join(dir, 's.crt'), join(dir, 'c.kubeconfig'))).code).toBe(0);
  });

  it('says in one line what is wrong, and replaces nothing unasked', async () => {
    const dir = folder();
    const wrong = async (...args: string[]) => {
      const { code, err } = await pki(...args);
      return [code, err.trim().split('\n')[0]];
    };
    expect(await wrong('client', 'c', '--dir', dir, '--user', 'u')).toEqual([
      1,
      `${join(dir, 'ca.crt')} is not there; make an authority with podwire pki ca --dir ${dir}`,
    ]);
    await pki('ca', '--dir', dir);
    const authority = read(dir, 'ca.key');
    expect(await wrong('ca', '--dir', dir)).toEqual([1, `${join(dir, 'ca.crt')} is there already; give --force to replace it`]);
    expect(read(dir, 'ca.key')).toBe(authority);
    expect((await wrong('server', 's', '--dir', dir))[0]).toBe(1);
    expect((await wrong('server', 's', '--dir', dir, '--address', 'nonsense'))[0]).toBe(2);
    expect((await wrong('client', 'c', '--dir', dir, '--user', 'u', '--days', '0'))[0]).toBe(2);
    expect((await wrong('show', join(dir, 'none')))[1]).toBe(`${join(dir, 'none')} cannot be read (ENOENT)`);
    writeFileSync(join(dir, 'x.crt'), 'nonsense');
    expect((await wrong('show', join(dir, 'x.crt')))[1]).toMatch(/is neither PEM nor a kubeconfig/);
    expect((await pki('--help')).out).toMatch(
      /Commands:[\s\S]*ca [\s\S]*server [\s\S]*client [\s\S]*service-account [\s\S]*show [\s\S]*verify [\s\S]*renew /,
    );
  });

  it('verify fails for a stranger’s certificate and for another’s key', async () => {
    const [dir, other] = [folder(), folder()];
    for (const each of [dir, other]) {
      await pki('ca', '--dir', each);
      await pki('client', 'c', '--dir', each, '--user', 'u');
    }
    expect(await pki('verify', '--ca-file', join(dir, 'ca.crt'), join(other, 'c.crt'))).toMatchObject({
      code: 1,
      out: `${join(other, 'c.crt')}: not signed by the authority\n`,
    });
    writeFileSync(join(dir, 'c.key'), read(other, 'c.key'));
    expect((await pki('verify', '--ca-file', join(dir, 'ca.crt'), join(dir, 'c.crt'))).out).toMatch(
      /the private key belongs to another certificate/,
    );
  });
});

describe('an authority out of files', () => {
  it('issues for no longer than it lives itself, and not at all once it has expired', async () => {
    const now = Date.now();
    const made = await createCertificateAuthority('ca', now, { authorityDays: 30 });
    const loaded = await loadCertificateAuthority(made.certificate, made.key, now);
    const client = await loaded.issueClient({ user: 'u', groups: [] });
    const [certificate] = readCertificates(client.certificate);
    const [root] = readCertificates(made.certificate);
    expect(summarize(certificate!, now).notAfter).toBe(summarize(root!, now).notAfter);
    expect(problemsOf(certificate!, [root!], client.key, now)).toEqual([]);
    expect(problemsOf(certificate!, [root!], undefined, now + 31 * day)).toEqual([expect.stringMatching(/^expired at/)]);
    expect(problemsOf(certificate!, [], undefined, now - day)).toEqual([
      expect.stringMatching(/^not valid before/),
      'not signed by any of the authorities',
    ]);
    await expect(loadCertificateAuthority(made.certificate, made.key, now + 31 * day)).rejects.toThrow(/expired/);
    await expect(loadCertificateAuthority(client.certificate, client.key, now)).rejects.toThrow(
      'the certificate is not one of an authority',
    );
    const other = await createCertificateAuthority('ca', now);
    await expect(loadCertificateAuthority(made.certificate, other.key, now)).rejects.toThrow(
      'the private key is not the key of the certificate',
    );
    await expect(loaded.renew({ certificate: client.certificate, key: other.key }, { newKey: false })).rejects.toThrow(/is not the key of/);
  });

  it('a PEM file with both, and a kubeconfig, are read and written back whole', async () => {
    const dir = folder();
    await pki('ca', '--dir', dir);
    const both = join(dir, 'both.pem');
    writeFileSync(both, read(dir, 'ca.crt') + read(dir, 'ca.key'));
    const pair = readPair(both);
    expect([pair.certificate, pair.key]).toEqual([read(dir, 'ca.crt'), read(dir, 'ca.key')]);
    expect(pair.replaced({ certificate: 'C\n', key: 'K\n' })).toEqual([{ file: both, text: 'C\nK\n' }]);
  });
});
