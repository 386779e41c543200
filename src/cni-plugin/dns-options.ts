import { defined, type Fields, textField, textListField } from './fields.ts';

/** DNS settings of a pod (CNI spec 1.1.0, section 1, `dns`). */
export interface Dns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

/** @param path of the object, to be named in an error. @throws CniError 7 */
export function parseDns(dns: Fields, path = 'dns'): Dns {
  const list = (key: string): readonly string[] | undefined => {
    const values = textListField(dns, key, `${path}.${key}`);
    return values.length === 0 ? undefined : values;
  };
  return defined({
    nameservers: list('nameservers'),
    domain: textField(dns, 'domain', `${path}.domain`),
    search: list('search'),
    options: list('options'),
  });
}

/** The settings of a resolv.conf(5): of several `domain` and `search` lines the last counts, of options all. */
export function parseResolvConf(text: string): Dns {
  const nameservers: string[] = [];
  const options: string[] = [];
  let domain: string | undefined;
  let search: readonly string[] | undefined;
  for (const line of text.split('\n')) {
    const [word, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (word === 'nameserver' && values[0]) nameservers.push(values[0]);
    if (word === 'domain' && values[0]) domain = values[0];
    if (word === 'search' && values.length > 0) search = values;
    if (word === 'options') options.push(...values);
  }
  return defined({
    nameservers: nameservers.length === 0 ? undefined : nameservers,
    domain,
    search,
    options: options.length === 0 ? undefined : options,
  });
}

/** The stronger settings, key by key, over the weaker ones. */
export const mergeDns = (...fromWeakToStrong: readonly Dns[]): Dns => Object.assign({}, ...fromWeakToStrong) as Dns;
