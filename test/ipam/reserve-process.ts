/** Reserves addresses for COUNT containers named PREFIX-n below DIRECTORY, releases every third, and prints the rest, one line each. */
import { parseRangeSets, releaseAddresses, reserveAddresses } from '../../src/ipam/index.ts';
import { openClaimFiles } from '../../src/storage/claim-files.ts';

const [directory, prefix, count] = process.argv.slice(2) as [string, string, string];
const store = openClaimFiles(directory, 'boot');
const sets = parseRangeSets([[{ subnet: '10.244.0.0/22' }], [{ subnet: 'fd00::/64' }]]);
for (let n = 0; n < Number(count); n++) {
  const record = reserveAddresses(store, sets, {
    containerId: `${prefix}-${n}`,
    ifname: 'eth0',
    network: 'n',
    netns: '/run/netns/x',
    netnsInode: 1,
    hostLink: 'veth1',
    bootId: 'boot',
    reservedAt: new Date().toISOString(),
  });
  if (n % 3 === 2) releaseAddresses(store, record);
  else process.stdout.write(`${record.addresses.map(({ text }) => text).join(' ')}\n`);
}
