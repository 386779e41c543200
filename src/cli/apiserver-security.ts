import { type Command, InvalidArgumentError } from 'commander';
import { type SecurityOptions, securityDefaults } from '../api-server/options.ts';
import { anyText, durationOption, list, repeatable, wholeNumber } from './flags.ts';

export interface SecurityFlags {
  readonly authorizationMode: SecurityOptions['authorizationMode'];
  readonly tokenAuthFile?: string;
  readonly serviceAccountIssuer?: readonly string[];
  readonly serviceAccountKeyFile?: readonly string[];
  readonly serviceAccountSigningKeyFile?: string;
  readonly apiAudiences?: readonly string[];
  /** Milliseconds. */
  readonly serviceAccountMaxTokenExpiration: number;
  readonly maxRequestsInflight: number;
  readonly maxMutatingRequestsInflight: number;
  readonly disableAdmissionPlugins: readonly string[];
}

const count = wholeNumber(0, 999_999_999);

/** Adds the flags that say who may do what, under kube-apiserver's names. */
export function configureSecurity(command: Command): void {
  const { authorizationMode, maxRequestsInFlight, maxMutatingRequestsInFlight, serviceAccounts } = securityDefaults;
  command
    .option('--authorization-mode <mode>', 'RBAC, or AlwaysAllow, with which every user may do anything', mode, authorizationMode)
    .option('--token-auth-file <file>', 'static bearer tokens: lines of token,user,uid,"group,group"')
    .option(
      '--service-account-issuer <url>',
      `name of this cluster in tokens; given again, older names that are believed too (default: ${serviceAccounts.issuers[0]})`,
      repeatable(anyText),
    )
    .option(
      '--service-account-key-file <file>',
      'keys that verify tokens of service accounts, PEM; may be given again (default: the signing key)',
      repeatable(anyText),
    )
    .option('--service-account-signing-key-file <file>', 'private key that signs tokens, PEM (default: one kept in the data folder)')
    .option('--api-audiences <names>', 'audiences that this server answers to (default: the issuer)', list)
    .addOption(durationOption('--service-account-max-token-expiration <duration>', 'longest life of a token; 0s is no limit', '0s'))
    .option('--max-requests-inflight <count>', 'reads under way at once; 0 is no limit', count, maxRequestsInFlight)
    .option('--max-mutating-requests-inflight <count>', 'writes under way at once; 0 is no limit', count, maxMutatingRequestsInFlight)
    .option('--disable-admission-plugins <names>', 'admission plugins to leave out; known: ServiceAccount', plugins, []);
}

/** The flags as the server takes them. */
export const securityOptions = (flags: SecurityFlags): SecurityOptions => ({
  authorizationMode: flags.authorizationMode,
  tokenAuthFile: flags.tokenAuthFile,
  serviceAccounts: {
    issuers: flags.serviceAccountIssuer ?? securityDefaults.serviceAccounts.issuers,
    keyFiles: flags.serviceAccountKeyFile ?? [],
    signingKeyFile: flags.serviceAccountSigningKeyFile,
    apiAudiences: flags.apiAudiences ?? [],
    maxTokenExpirationSeconds: Math.floor(flags.serviceAccountMaxTokenExpiration / 1_000),
  },
  maxRequestsInFlight: flags.maxRequestsInflight,
  maxMutatingRequestsInFlight: flags.maxMutatingRequestsInflight,
  disabledAdmission: flags.disableAdmissionPlugins,
});

function mode(text: string): SecurityOptions['authorizationMode'] {
  if (text === 'RBAC' || text === 'AlwaysAllow') return text;
  if (list(text).includes('Node'))
    throw new InvalidArgumentError('The node authorizer is not there; nodes get their rights from roles. Expected RBAC or AlwaysAllow.');
  throw new InvalidArgumentError('Expected RBAC or AlwaysAllow.');
}

function plugins(text: string): readonly string[] {
  const names = list(text);
  const unknown = names.find((name) => name !== 'ServiceAccount');
  if (unknown !== undefined) throw new InvalidArgumentError(`${unknown} cannot be left out. Expected ServiceAccount.`);
  return names;
}
