/** Inputs of iptables-restore --noflush that the kernel or the tool refuses, each with its reason, and the variant where only one does. IPv4. */
export const refusedRestores: readonly (readonly [why: string, input: string, only?: 'nft' | 'legacy'])[] = [
  ['a rule of a chain that is not there', '*nat\n-A NOWHERE -j RETURN\nCOMMIT\n'],
  ['a jump to a chain that is not there', '*nat\n:A - [0:0]\n-A A -j NOWHERE\nCOMMIT\n'],
  ['deleting a rule that is not there', '*nat\n-D PREROUTING -p tcp -j RETURN\nCOMMIT\n'],
  ['deleting a chain that is not there', '*nat\n-X NOWHERE\nCOMMIT\n'],
  ['deleting a chain that is in use', '*nat\n:A - [0:0]\n:B - [0:0]\n-A A -j B\n-X B\nCOMMIT\n'],
  ['deleting a chain that is not empty', '*nat\n:A - [0:0]\n-A A -j RETURN\n-X A\nCOMMIT\n'],
  ['deleting a built-in chain', '*nat\n-X PREROUTING\nCOMMIT\n', 'legacy'],
  ['REJECT outside of the filter table', '*nat\n:A - [0:0]\n-A A -p tcp -j REJECT\n-A PREROUTING -j A\nCOMMIT\n'],
  ['DNAT outside of the nat table', '*filter\n:A - [0:0]\n-A A -p tcp -j DNAT --to-destination 10.0.0.1:80\n-A INPUT -j A\nCOMMIT\n'],
  ['a port without a protocol', '*nat\n:A - [0:0]\n-A A -m tcp --dport 80 -j RETURN\nCOMMIT\n'],
  ['DNAT to a port without a protocol', '*nat\n:A - [0:0]\n-A A -j DNAT --to-destination 10.0.0.1:80\nCOMMIT\n'],
  ['a chain name of 29 letters', `*nat\n:${'A'.repeat(29)} - [0:0]\nCOMMIT\n`],
  ['two sources', '*nat\n:A - [0:0]\n-A A -s 10.0.0.1/32 -s 10.0.0.2/32 -j RETURN\nCOMMIT\n'],
  ['a place far behind the last rule', '*nat\n:A - [0:0]\n-I A 5 -j RETURN\nCOMMIT\n'],
  ['a table that is not there', '*nothing\nCOMMIT\n'],
];
