import { createHash } from 'node:crypto';
import type { User } from '../../access.ts';
import type { TokenAuthenticator } from './token.ts';

const digest = (token: string): string => createHash('sha256').update(token).digest('base64');

/**
 * The static tokens of `--token-auth-file`: CSV lines of token, user name, user uid, and optionally groups with commas between, in quotes.
 * Tokens are looked up by their hash, so that the time it takes tells nothing of them. `file` names the file in errors.
 * @throws Error naming the file and the line.
 */
export function tokenFileAuthenticator(text: string, file: string): TokenAuthenticator {
  const users = new Map<string, User>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [token = '', name = '', uid, groups = '', ...more] = parseCsvLine(line, `${file} line ${index + 1}`);
    if (uid === undefined || more.length > 0)
      throw new Error(`--token-auth-file: ${file} line ${index + 1}: expected token,user,uid and optionally "group,group"`);
    if (token === '' || name === '')
      throw new Error(`--token-auth-file: ${file} line ${index + 1}: the token and the user must not be empty`);
    const names = groups.split(',').map((group) => group.trim());
    users.set(digest(token), { name, ...(uid ? { uid } : {}), groups: names.filter((group) => group !== '') });
  }
  return {
    authenticate(token, audiences) {
      const user = users.get(digest(token));
      // A static token is good for whoever asks.
      return Promise.resolve(user && { user, audiences });
    },
  };
}

/** Fields of one line (RFC 4180): quoted fields may hold commas, and quotes by doubling them. */
function parseCsvLine(line: string, where: string): string[] {
  const fields: string[] = [];
  const pattern = /\s*(?:"((?:[^"]|"")*)"\s*|([^",]*))(,|$)/y;
  for (;;) {
    const match = pattern.exec(line);
    if (!match) throw new Error(`--token-auth-file: ${where}: the quotes do not match`);
    fields.push(match[1] === undefined ? match[2]!.trim() : match[1].replaceAll('""', '"'));
    if (match[3] === '') return fields;
  }
}
