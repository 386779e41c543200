import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { nodeFlags } from '../../src/runtime/program-files.ts';

it('the podwire command starts Node with the flags that daemons are started with', () => {
  const script = readFileSync(join(import.meta.dirname, '../../bin/podwire'), 'utf8');
  expect(script).toContain(`exec "$node" ${nodeFlags.join(' ')} "$root/dist/cli/main.js" "$@"`);
});
