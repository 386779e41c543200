import type { Attributes, User } from '../access.ts';
import { StatusError } from '../status-errors.ts';

const quote = (text: string): string => JSON.stringify(text);

/** What was not allowed, in the reference's words: `User "jane" cannot list resource "pods" in API group "" in the namespace "default"`. */
function deniedText(user: User, attributes: Attributes): string {
  const who = `User ${quote(user.name)} cannot ${attributes.verb}`;
  if (!attributes.isResource) return `${who} path ${quote(attributes.path)}`;
  const { group, resource, subresource, namespace } = attributes;
  const what = subresource ? `${resource}/${subresource}` : resource;
  const where = namespace ? `in the namespace ${quote(namespace)}` : 'at the cluster scope';
  return `${who} resource ${quote(what)} in API group ${quote(group)} ${where}`;
}

/** HTML in what a client sent must not come back as HTML. */
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** 403 with the reference's text and details. `told` follows after a colon, unless empty. */
export function accessDenied(user: User, attributes: Attributes, told: string): StatusError {
  const why = escaped(deniedText(user, attributes)) + (told ? `: ${told}` : '');
  const headers = { 'x-content-type-options': 'nosniff' };
  if (!attributes.isResource) {
    return new StatusError({ code: 403, reason: 'Forbidden', message: `forbidden: ${why}`, details: {} }, headers);
  }
  const { group, resource, name } = attributes;
  const qualified = (group ? `${resource}.${group}` : resource) + (name ? ` ${quote(name)}` : '');
  const details = { ...(name ? { name } : {}), ...(group ? { group } : {}), kind: resource };
  return new StatusError({ code: 403, reason: 'Forbidden', message: `${qualified} is forbidden: ${why}`, details }, headers);
}
