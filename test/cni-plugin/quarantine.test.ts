import { expect, it } from 'vitest';
import { baseConfig, createFakeNode } from './support.ts';

const resting = (quarantine: unknown) => ({ ipam: { ...baseConfig.ipam, quarantine } });

it('ipam.quarantine says for how long a released address rests', async () => {
  const node = createFakeNode('a', 'b', 'c');
  const addressOf = async (pod: string, config = {}): Promise<string> => (await node.run('ADD', pod, config)).json.ips[0].address;
  expect(await addressOf('a')).toBe('10.244.1.2/24');
  await node.run('DEL', 'a');
  expect(await addressOf('b')).toBe('10.244.1.3/24');
  expect(await addressOf('c', resting(0)), 'at once').toBe('10.244.1.2/24');
  for (const wrong of [-1, 1.5, '10s', 86_401])
    expect((await node.run('ADD', 'a', resting(wrong))).json).toMatchObject({ code: 7, msg: expect.stringContaining('ipam.quarantine') });
});
