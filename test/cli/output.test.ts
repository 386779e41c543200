import { describe, expect, it } from 'vitest';
import { renderRows } from '../../src/cli/output.ts';

const columns = [
  { header: 'NAME', cell: (row: { name: string; address?: string }) => row.name },
  { header: 'ADDRESS', cell: (row: { address?: string }) => row.address, wide: true },
];

describe('rows', () => {
  it('are a table with padded columns; wide shows more of them', () => {
    const rows = [{ name: 'a', address: '10.0.0.1' }, { name: 'longer' }];
    expect(renderRows('table', rows, columns)).toBe('NAME\na\nlonger\n');
    expect(renderRows('wide', rows, columns)).toBe('NAME     ADDRESS\na        10.0.0.1\nlonger   <none>\n');
  });

  it('are whole in JSON and YAML', () => {
    const rows = [{ name: 'a', address: '10.0.0.1' }];
    expect(JSON.parse(renderRows('json', rows, columns))).toEqual(rows);
    expect(renderRows('yaml', rows, columns)).toBe('- name: a\n  address: 10.0.0.1\n');
  });
});
