/**
 * Messages as other routers sent them over TCP, in hex. Captured from BIRD 2.0.12 (AS 4200000009, `graceful restart on`, an export filter that adds communities,
 * MED 50 and prepends 4200000009 and 65001) and from GoBGP 3.10 (AS 4200000010, routes added with `gobgp global rib add`), peer AS 64512.
 */
export const golden = {
  birdOpen:
    'ffffffffffffffffffffffffffffffff004301045ba000f0c0a858092602240104000100010104000200010200400a007800010100000201004104fa56ea0946004700',
  birdIpv4:
    'ffffffffffffffffffffffffffffffff0060020000003d4001010040020e0203fa56ea090000fde9fa56ea09400304c0a8580980040400000032c00808fc000064ffffff01c0200cfa56ea09000000010000000220cb007107180af409100a63',
  birdIpv6:
    'ffffffffffffffffffffffffffffffff00700200000059900e001f00020110fd000088000000000000000000000009000040fd000010024400094001010040020e0203fa56ea090000fde9fa56ea0980040400000032c00808fc000064ffffff01c0200cfa56ea090000000100000002',
  /** To a peer without the four-octet AS capability. */
  birdIpv4TwoOctet:
    'ffffffffffffffffffffffffffffffff006b02000000484001010040020802035ba0fde95ba0400304c0a8580980040400000032c00808fc000064ffffff01c0110e0203fa56ea090000fde9fa56ea09c0200cfa56ea09000000010000000220cb007107180af409100a63',
  birdEndOfRibIpv4: 'ffffffffffffffffffffffffffffffff00170200000000',
  birdEndOfRibIpv6: 'ffffffffffffffffffffffffffffffff001d0200000006800f03000201',
  keepalive: 'ffffffffffffffffffffffffffffffff001304',
  gobgpOpen:
    'ffffffffffffffffffffffffffffffff004901045ba0005ac0a858092c022a0200490402766d000104000100010104000200014104fa56ea0a40060014000101000506000100010002',
  gobgpIpv6:
    'ffffffffffffffffffffffffffffffff0045020000002e400101024002060201fa56ea0a800e1e00020110fd0000880000000000000000000000090040fd00001002440009',
  gobgpIpv4:
    'ffffffffffffffffffffffffffffffff00500200000035400101014002060201fa56ea0a400304c0a8580980040400000032c00808fc000064ffffff01c0200cfa56ea0a0000000100000002180af409',
  gobgpWithdraw: 'ffffffffffffffffffffffffffffffff001b020004180af4090000',
} as const;

export const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
export const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');
