import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import type { CertificateAuthority } from '../kube/pki/authority.ts';
import { type CertificateSummary, problemsOf, readCertificates, summarize } from '../kube/pki/inspect.ts';
import { renderKubeconfig } from '../kube/pki/kubeconfig-text.ts';
import { readPair } from '../kube/pki/pem-files.ts';
import { writeSecretFile } from '../kube/pki/secret-file.ts';
import { createServiceAccountKeys } from '../kube/pki/service-account-keys.ts';
import { systemClock } from '../runtime/clock.ts';
import { address, anyText, repeatable, wholeNumber } from './flags.ts';
import { type Column, type OutputFormat, outputOption, renderRows } from './output.ts';

interface Place {
  readonly dir: string;
  readonly force: boolean;
  readonly days: number;
}

/** `podwire pki`: certificates and keys of a cluster, in files as kubeadm names them. */
export function command(): Command {
  const pki = new Command('pki').description('make, show, verify and renew the certificates and keys of a cluster');
  const make = (name: string, description: string, days: number): Command =>
    pki
      .command(name)
      .description(description)
      .option('--dir <folder>', 'folder of the authority and of what is made', folder, folder('pki'))
      .option('--days <days>', 'how long it is valid', wholeNumber(1, 36_500, 'days'), days)
      .option('--force', 'replace files that are there', false);
  make('ca', 'make a certificate authority: ca.crt and ca.key', 3_650)
    .option('--name <name>', 'its common name', 'kubernetes')
    .action(makeAuthority);
  make('server', 'make the certificate of a server: NAME.crt and NAME.key', 365)
    .argument('<name>', 'name of the files, and common name')
    .option('--dns-name <name>', 'a DNS name by which it is reached; repeat for more', repeatable(anyText))
    .option('--address <address>', 'an IP address by which it is reached; repeat for more', repeatable(address))
    .action(makeServer);
  make('client', 'make the certificate of a user: NAME.crt and NAME.key, or a kubeconfig', 365)
    .argument('<name>', 'name of the files')
    .requiredOption('--user <user>', 'user name, such as system:node:worker-1')
    .option('--group <group>', 'a group of the user; repeat for more', repeatable(anyText))
    .option('--server <url>', 'write NAME.kubeconfig instead, for the API server at this URL', url)
    .option('--cluster <name>', 'name of the cluster in the kubeconfig', 'kubernetes')
    .action(makeClient);
  pki
    .command('service-account')
    .description('make the key pair that signs and verifies tokens of service accounts: sa.key and sa.pub')
    .option('--dir <folder>', 'folder of what is made', folder, folder('pki'))
    .option('--force', 'replace files that are there', false)
    .action(makeServiceAccountKeys);
  pki
    .command('show')
    .description('who a certificate is for, what it may be used for, and when it expires')
    .argument('<file...>', 'PEM files, or kubeconfigs')
    .addOption(outputOption())
    .action(show);
  pki
    .command('verify')
    .description('check that certificates are signed by an authority, valid now, and match their keys; exits 1 when one is not')
    .argument('<file...>', 'PEM files, or kubeconfigs')
    .requiredOption('--ca-file <file>', 'certificates of the authorities; repeat for more', repeatable(anyText))
    .action(verify);
  make('renew', 'issue certificates anew for the same names, with the same keys unless told', 365)
    .argument('<file...>', 'PEM files, or kubeconfigs')
    .option('--new-key', 'make new keys too', false)
    .action(renew);
  return pki;
}

const folder = (text: string): string => resolve(text);

function url(text: string): string {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text))
    throw new InvalidArgumentError('Expected a URL such as https://192.168.88.11:6443.');
  return text.replace(/\/+$/, '');
}

/** Writes the files, or none of them when one is there that must not be replaced. Certificates and public keys are no secrets. */
async function write(files: Readonly<Record<string, string>>, { dir, force }: Pick<Place, 'dir' | 'force'>): Promise<void> {
  const paths = Object.keys(files).map((name) => join(dir, name));
  const standing = paths.find((path) => existsSync(path));
  if (standing && !force) throw new Error(`${standing} is there already; give --force to replace it`);
  for (const [name, text] of Object.entries(files)) {
    await writeSecretFile(join(dir, name), text);
    process.stdout.write(`${join(dir, name)}\n`);
  }
}

/** The commands that sign load the certificate library; the others start without it. */
const authorities = () => import('../kube/pki/authority.ts');

async function authorityIn({ dir, days }: Place): Promise<CertificateAuthority> {
  const { loadCertificateAuthority } = await authorities();
  const [certificate, key] = ['ca.crt', 'ca.key'].map((name) => {
    const file = join(dir, name);
    if (!existsSync(file)) throw new Error(`${file} is not there; make an authority with podwire pki ca --dir ${dir}`);
    return readFileSync(file, 'utf8');
  }) as [string, string];
  return loadCertificateAuthority(certificate, key, systemClock.now(), { days }).catch((error: unknown) => {
    throw new Error(`the authority in ${dir} cannot be used: ${(error as Error).message}`, { cause: error });
  });
}

async function makeAuthority(flags: Place & { readonly name: string }): Promise<void> {
  const { createCertificateAuthority } = await authorities();
  const { certificate, key } = await createCertificateAuthority(flags.name, systemClock.now(), { authorityDays: flags.days });
  await write({ 'ca.crt': certificate, 'ca.key': key }, flags);
}

async function makeServer(
  name: string,
  flags: Place & { readonly dnsName?: readonly string[]; readonly address?: readonly string[] },
): Promise<void> {
  const { dnsName: dnsNames = [], address: addresses = [] } = flags;
  if (dnsNames.length + addresses.length === 0) {
    throw new Error('a server needs a name by which it is reached: give --dns-name or --address');
  }
  const authority = await authorityIn(flags);
  const { certificate, key } = await authority.issueServer({ commonName: name, dnsNames, addresses });
  await write({ [`${name}.crt`]: certificate, [`${name}.key`]: key }, flags);
}

async function makeClient(
  name: string,
  flags: Place & { readonly user: string; readonly group?: readonly string[]; readonly server?: string; readonly cluster: string },
): Promise<void> {
  const authority = await authorityIn(flags);
  const { user, group: groups = [], server, cluster } = flags;
  const client = await authority.issueClient({ user, groups });
  if (server === undefined) return write({ [`${name}.crt`]: client.certificate, [`${name}.key`]: client.key }, flags);
  const kubeconfig = renderKubeconfig({ cluster, user, server, certificateAuthority: authority.certificate, client });
  return write({ [`${name}.kubeconfig`]: kubeconfig }, flags);
}

function makeServiceAccountKeys(flags: Pick<Place, 'dir' | 'force'>): Promise<void> {
  const { publicKey, privateKey } = createServiceAccountKeys();
  return write({ 'sa.key': privateKey, 'sa.pub': publicKey }, flags);
}

interface Row extends CertificateSummary {
  readonly file: string;
}

const columns: readonly Column<Row>[] = [
  { header: 'FILE', cell: ({ file }) => file },
  { header: 'USE', cell: ({ use }) => use },
  { header: 'NAME', cell: ({ commonName }) => commonName },
  { header: 'GROUPS', cell: ({ organizations }) => organizations.join(',') || undefined },
  { header: 'EXPIRES', cell: ({ notAfter }) => notAfter.slice(0, 10) },
  { header: 'DAYS LEFT', cell: ({ daysLeft }) => daysLeft },
  { header: 'ALSO', cell: ({ names }) => names.join(',') || undefined, wide: true },
  { header: 'ISSUER', cell: ({ issuer }) => issuer, wide: true },
  { header: 'SERIAL', cell: ({ serial }) => serial, wide: true },
];

function show(files: readonly string[], { output }: { readonly output: OutputFormat }): void {
  const rows = files.flatMap((file) =>
    certificatesOf(file).map((certificate): Row => ({ file, ...summarize(certificate, systemClock.now()) })),
  );
  process.stdout.write(renderRows(output, rows, columns));
}

/** All certificates of a PEM file (a bundle may hold several), or the one of a kubeconfig. */
function certificatesOf(file: string) {
  return readCertificates(
    existsSync(file) && /-----BEGIN /.test(readFileSync(file, 'utf8')) ? readFileSync(file, 'utf8') : readPair(file).certificate,
  );
}

function verify(files: readonly string[], { caFile }: { readonly caFile: readonly string[] }): void {
  const trusted = caFile.flatMap((file) => readCertificates(readFileSync(file, 'utf8')));
  if (trusted.length === 0) throw new Error(`${caFile.join(', ')} holds no certificate in PEM`);
  for (const file of files) {
    const { certificate, key } = readPair(file);
    const problems = readCertificates(certificate).flatMap((each) => problemsOf(each, trusted, key, systemClock.now()));
    process.stdout.write(`${file}: ${problems.join('; ') || 'OK'}\n`);
    if (problems.length > 0) process.exitCode = 1;
  }
}

async function renew(files: readonly string[], flags: Place & { readonly newKey: boolean }): Promise<void> {
  const authority = await authorityIn(flags);
  // All are issued before any is written.
  const renewed = await Promise.all(
    files.map(async (file) => {
      const stored = readPair(file);
      const { certificate, key } = stored;
      if (key === undefined) throw new Error(`${file}: its private key is not beside it`);
      const pair = await authority.renew({ certificate, key }, { newKey: flags.newKey }).catch((error: unknown) => {
        throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
      });
      return stored.replaced(pair);
    }),
  );
  for (const { file, text } of renewed.flat()) {
    await writeSecretFile(file, text);
    process.stdout.write(`${file}\n`);
  }
}
