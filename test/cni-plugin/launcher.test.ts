import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { agentLinkName } from '../../src/cni-plugin/effects/agent-folder.ts';
import { slotCount } from '../../src/cni-plugin/effects/request-slots.ts';
import { cniErrorCodes, isPermanent } from '../../src/cni-plugin/errors.ts';

const file = resolve(import.meta.dirname, '../../src/cni-plugin/launcher.sh');
const text = readFileSync(file, 'utf8');

describe('the launcher', () => {
  it('is one in which shellcheck finds nothing', () => {
    const { status, stdout } = spawnSync('shellcheck', [file], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([0, '']);
  });

  it('agrees with the agent on the slots, the name of the link, and which errors are for good', () => {
    expect(text).toContain(`\nslots=${slotCount}\n`);
    expect(text).toContain(`/${agentLinkName}\n`);
    const permanent = [...text.matchAll(/\*'"code":(\d+),'\*/g)].map(([, code]) => Number(code));
    const codes: readonly number[] = Object.values(cniErrorCodes);
    expect(permanent).toEqual(codes.filter((code) => isPermanent(JSON.stringify({ code }))));
    expect(permanent.length).toBeGreaterThan(0);
    expect(isPermanent('')).toBe(false);
  });
});
