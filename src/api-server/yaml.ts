// Loaded when first needed: kubectl sends JSON. Imported by way of this module, because in a bundle a CommonJS package that is imported at run time
// has no named exports.
export { parse, parseAllDocuments, stringify } from 'yaml';
