import type { VerificationKey } from './keys.ts';

/** Where others find how to verify our tokens (OpenID Connect Discovery 1.0, RFC 7517), as JSON. */
export interface OpenIdDocuments {
  /** /.well-known/openid-configuration */
  readonly configuration: string;
  /** /openid/v1/jwks */
  readonly keySet: string;
}

/** Path of the keys. */
export const keySetPath = '/openid/v1/jwks';

/** `address` (host:port) is where the keys are to be had. Undefined unless the issuer is an https URL, as OpenID demands. */
export function openIdDocuments(issuer: string, address: string, keys: readonly VerificationKey[]): OpenIdDocuments | undefined {
  if (!/^https:\/\/[^?#]+$/.test(issuer) || !URL.canParse(issuer)) return undefined;
  const configuration = {
    issuer,
    jwks_uri: `https://${address}${keySetPath}`,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [...new Set(keys.map(({ algorithm }) => algorithm))].toSorted(),
  };
  const published = keys.map(({ id, algorithm, key }) => ({ use: 'sig', ...key.export({ format: 'jwk' }), kid: id, alg: algorithm }));
  return { configuration: JSON.stringify(configuration), keySet: JSON.stringify({ keys: published }) };
}
