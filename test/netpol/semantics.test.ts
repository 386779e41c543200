import { describe, expect, it } from 'vitest';
import { createWalker, everyone, gridNamespaces, gridPods, input, pod, policy } from './fixtures.ts';

const a = { matchLabels: { pod: 'a' } };
const b = { matchLabels: { pod: 'b' } };
const nsY = { matchLabels: { ns: 'y' } };

describe('isolation', () => {
  it('without a policy everyone reaches everyone', () => {
    const { clientsOf } = createWalker(input([]));
    for (const family of [4, 6] as const) expect(clientsOf('x/a', 80, 'tcp', family)).toBe(everyone);
  });

  it('a policy without ingress rules lets nobody in but the pod itself, and does not touch what goes out', () => {
    const { clientsOf, allows } = createWalker(input([policy('x/deny', { podSelector: {} })]));
    for (const family of [4, 6] as const) {
      expect(clientsOf('x/a', 80, 'tcp', family)).toBe('x/a');
      expect(clientsOf('x/a', 53, 'udp', family)).toBe('x/a');
      expect(clientsOf('y/a', 80, 'tcp', family)).toBe(everyone);
    }
    expect(allows('192.0.2.7', 'x/a')).toBe(false);
    expect(allows('x/a', '192.0.2.7')).toBe(true);
  });

  it('an empty ingress rule lets everyone in, from outside and by any protocol too', () => {
    const { clientsOf, allows } = createWalker(input([policy('x/open', { podSelector: {}, ingress: [{}] })]));
    expect(clientsOf('x/a')).toBe(everyone);
    expect(clientsOf('x/a', 7, 'sctp', 6)).toBe(everyone);
    expect(allows('192.0.2.7', 'x/a', undefined, 'icmp')).toBe(true);
  });

  it('only the pods selected are isolated', () => {
    const { clientsOf } = createWalker(input([policy('x/deny-a', { podSelector: a })]));
    expect(clientsOf('x/a')).toBe('x/a');
    expect(clientsOf('x/b')).toBe(everyone);
    expect(clientsOf('y/a')).toBe(everyone);
  });

  it('policyTypes Egress alone denies what goes out and leaves what comes in', () => {
    const { clientsOf, allows } = createWalker(input([policy('x/deny', { podSelector: a, policyTypes: ['Egress'] })]));
    expect(clientsOf('x/a')).toBe(everyone);
    expect(clientsOf('y/b')).toBe('x/b x/c y/a y/b y/c z/a z/b z/c');
    expect(allows('x/a', '192.0.2.7', 443)).toBe(false);
  });

  it('without policyTypes egress rules isolate both ways', () => {
    const { clientsOf, allows } = createWalker(input([policy('x/both', { podSelector: a, egress: [{ to: [{ podSelector: b }] }] })]));
    expect(clientsOf('x/a')).toBe('x/a');
    expect(allows('x/a', 'x/b')).toBe(true);
    expect(allows('x/a', 'x/c')).toBe(false);
  });

  it('without policyTypes an empty list of egress rules does not isolate egress', () => {
    expect(createWalker(input([policy('x/p', { podSelector: a, egress: [] })])).allows('x/a', 'y/a')).toBe(true);
  });

  it('with policyTypes Ingress egress rules are not looked at', () => {
    const { allows } = createWalker(
      input([policy('x/p', { podSelector: a, policyTypes: ['Ingress'], egress: [{ to: [{ podSelector: b }] }] })]),
    );
    expect(allows('x/a', 'y/a')).toBe(true);
  });

  it('a connection needs the egress of its source and the ingress of its destination', () => {
    const denyOut = policy('x/out', { podSelector: a, policyTypes: ['Egress'], egress: [{ to: [{ podSelector: b }] }] });
    const denyIn = policy('x/in', { podSelector: b, ingress: [{ from: [{ podSelector: { matchLabels: { pod: 'c' } } }] }] });
    expect(createWalker(input([denyOut])).allows('x/a', 'x/b')).toBe(true);
    expect(createWalker(input([denyIn])).allows('x/a', 'x/b')).toBe(false);
    expect(createWalker(input([denyOut, denyIn])).allows('x/a', 'x/b')).toBe(false);
    expect(createWalker(input([denyOut, denyIn])).allows('x/c', 'x/b')).toBe(true);
  });

  it('policies add up', () => {
    const fromB = policy('x/b', { podSelector: a, ingress: [{ from: [{ podSelector: b }], ports: [{ port: 80 }] }] });
    const fromY = policy('x/y', { podSelector: a, ingress: [{ from: [{ namespaceSelector: nsY }], ports: [{ port: 81 }] }] });
    const { clientsOf } = createWalker(input([policy('x/deny', { podSelector: {} }), fromB, fromY]));
    expect(clientsOf('x/a', 80)).toBe('x/a x/b');
    expect(clientsOf('x/a', 81)).toBe('x/a y/a y/b y/c');
  });

  it('answers of an allowed connection pass, whatever its other end may open itself', () => {
    const { allows } = createWalker(input([policy('x/deny', { podSelector: a, policyTypes: ['Ingress', 'Egress'] })]));
    expect(allows('x/a', 'y/a', 40_000, 'tcp', 4, { state: 'ESTABLISHED', direction: 'reply' })).toBe(true);
    expect(allows('x/a', 'y/a', undefined, 'icmp', 4, { state: 'RELATED' })).toBe(true);
    expect(allows('x/a', 'y/a', 40_000, 'tcp', 4, { state: 'INVALID', direction: 'reply' })).toBe(false);
  });

  it('a connection that stands already is judged again', () => {
    const { allows } = createWalker(input([policy('x/deny', { podSelector: a })]));
    expect(allows('y/a', 'x/a', 80, 'tcp', 4, { state: 'ESTABLISHED' })).toBe(false);
  });
});

describe('peers', () => {
  const ingress = (...from: object[]) => createWalker(input([policy('x/p', { podSelector: a, ingress: [{ from }] })]));

  it('a pod selector alone is about the own namespace', () => expect(ingress({ podSelector: b }).clientsOf('x/a')).toBe('x/a x/b'));
  it('an empty pod selector is all of the own namespace', () => expect(ingress({ podSelector: {} }).clientsOf('x/a')).toBe('x/a x/b x/c'));
  it('a namespace selector alone is all pods there', () =>
    expect(ingress({ namespaceSelector: nsY }).clientsOf('x/a')).toBe('x/a y/a y/b y/c'));
  it('an empty namespace selector is all pods everywhere, but nobody from outside', () => {
    const { clientsOf, allows } = ingress({ namespaceSelector: {} });
    expect(clientsOf('x/a')).toBe(everyone);
    expect(allows('192.0.2.7', 'x/a')).toBe(false);
  });
  it('both selectors in one item must both hold', () =>
    expect(ingress({ namespaceSelector: nsY, podSelector: b }).clientsOf('x/a')).toBe('x/a y/b'));
  it('of two items one is enough', () =>
    expect(ingress({ namespaceSelector: nsY }, { podSelector: b }).clientsOf('x/a')).toBe('x/a x/b y/a y/b y/c'));
  it('namespaces can be selected by their name', () =>
    expect(ingress({ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'z' } } }).clientsOf('x/a')).toBe(
      'x/a z/a z/b z/c',
    ));
  it('expressions: In, NotIn, Exists, DoesNotExist', () => {
    const by = (operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist', values?: string[]) =>
      ingress({ podSelector: { matchExpressions: [{ key: 'pod', operator, ...(values ? { values } : {}) }] } }).clientsOf('x/a');
    expect(by('In', ['b', 'c'])).toBe('x/a x/b x/c');
    expect(by('NotIn', ['a', 'b'])).toBe('x/a x/c');
    expect(by('Exists')).toBe('x/a x/b x/c');
    expect(by('DoesNotExist')).toBe('x/a');
  });
  it('an empty list of peers is everyone', () => {
    const { allows } = createWalker(input([policy('x/p', { podSelector: a, ingress: [{ from: [] }] })]));
    expect(allows('192.0.2.7', 'x/a')).toBe(true);
  });
  it('a peer that says nothing allows nothing', () => expect(ingress({}).clientsOf('x/a')).toBe('x/a'));

  it('a block is its addresses without its exceptions, in its own family only', () => {
    const { clientsOf, allows } = ingress({ ipBlock: { cidr: '10.244.0.0/16', except: ['10.244.2.0/24', '10.244.3.2/32'] } });
    expect(clientsOf('x/a')).toBe('x/a x/b x/c z/a z/c');
    expect(clientsOf('x/a', 80, 'tcp', 6)).toBe('x/a');
    expect(allows('10.245.0.0', 'x/a')).toBe(false);
    expect(allows('10.243.255.255', 'x/a')).toBe(false);
    expect(allows('10.244.255.255', 'x/a')).toBe(true);
  });
  it('an exception holds for its own item only', () => {
    const { clientsOf } = ingress(
      { ipBlock: { cidr: '10.244.0.0/16', except: ['10.244.2.0/24'] } },
      { ipBlock: { cidr: '10.244.2.2/32' } },
    );
    expect(clientsOf('x/a')).toBe('x/a x/b x/c y/b z/a z/b z/c');
  });
  it('blocks of IPv6', () => {
    const { clientsOf } = ingress({ ipBlock: { cidr: 'fd00:10:244::/48', except: ['fd00:10:244:2::/64'] } });
    expect(clientsOf('x/a', 80, 'tcp', 6)).toBe('x/a x/b x/c z/a z/b z/c');
  });
  it('0.0.0.0/0 is all of IPv4; a block wholly excepted is nothing', () => {
    expect(ingress({ ipBlock: { cidr: '0.0.0.0/0' } }).allows('255.255.255.255', 'x/a')).toBe(true);
    expect(ingress({ ipBlock: { cidr: '0.0.0.0/0' } }).clientsOf('x/a', 80, 'tcp', 6)).toBe('x/a');
    expect(ingress({ ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.0.0/9', '10.128.0.0/9'] } }).clientsOf('x/a')).toBe('x/a');
  });
  it('a block that cannot be read allows nothing, and isolates', () =>
    expect(ingress({ ipBlock: { cidr: '10.244.0.0' } }).clientsOf('x/a')).toBe('x/a'));
});

describe('ports', () => {
  const ingress = (...ports: object[]) => createWalker(input([policy('x/p', { podSelector: a, ingress: [{ ports }] })]));

  it('a port without protocol is TCP', () => {
    const { allows } = ingress({ port: 80 });
    expect([allows('y/a', 'x/a', 80), allows('y/a', 'x/a', 81), allows('y/a', 'x/a', 80, 'udp'), allows('192.0.2.1', 'x/a', 80)]).toEqual([
      true,
      false,
      false,
      true,
    ]);
  });
  it('a protocol without port is all of its ports', () => {
    const { allows } = ingress({ protocol: 'UDP' });
    expect([allows('y/a', 'x/a', 1, 'udp'), allows('y/a', 'x/a', 65_535, 'udp'), allows('y/a', 'x/a', 80)]).toEqual([true, true, false]);
  });
  it('endPort makes a range, both ends included', () => {
    const { allows } = ingress({ port: 8_000, endPort: 8_010 }, { port: 8_011, endPort: 8_011 }, { protocol: 'SCTP', port: 7 });
    expect([7_999, 8_000, 8_010, 8_011, 8_012].map((port) => allows('y/a', 'x/a', port))).toEqual([false, true, true, true, false]);
    expect([allows('y/a', 'x/a', 7, 'sctp'), allows('y/a', 'x/a', 7)]).toEqual([true, false]);
  });
  it('endPort needs a number and no smaller one: else the item allows nothing', () => {
    expect(ingress({ port: 'http', endPort: 90 }).clientsOf('x/a')).toBe('x/a');
    expect(ingress({ port: 90, endPort: 80 }).clientsOf('x/a', 85)).toBe('x/a');
  });
  it('an empty list of ports is every port and protocol', () => {
    const { allows } = createWalker(input([policy('x/p', { podSelector: a, ingress: [{ from: [{ podSelector: b }], ports: [] }] })]));
    expect([allows('x/b', 'x/a', 9, 'sctp'), allows('x/b', 'x/a', undefined, 'icmp'), allows('x/c', 'x/a')]).toEqual([true, true, false]);
  });
  it('a named port is the number that the destination gives it, for its protocol', () => {
    const { allows } = ingress({ port: 'alt' }, { port: 'dns', protocol: 'UDP' }, { port: 'http', protocol: 'UDP' });
    expect([allows('y/a', 'x/a', 81), allows('y/a', 'x/a', 80), allows('y/a', 'x/a', 53, 'udp'), allows('y/a', 'x/a', 80, 'udp')]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect(allows('y/a', 'x/a', 81, 'tcp', 6)).toBe(true);
  });
  it('for egress a named port is that of each peer', () => {
    const egress = (rule: object) =>
      createWalker(input([policy('x/p', { podSelector: a, policyTypes: ['Egress'], egress: [rule] })])).allows;
    const any = egress({ ports: [{ port: 'alt' }] });
    expect([any('x/a', 'y/a', 81), any('x/a', 'z/a', 8_081), any('x/a', 'z/a', 81), any('x/a', '192.0.2.1', 81)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    const some = egress({ to: [{ namespaceSelector: { matchLabels: { ns: 'z' } } }], ports: [{ port: 'alt' }] });
    expect([some('x/a', 'z/a', 8_081), some('x/a', 'y/a', 81)]).toEqual([true, false]);
    const block = egress({ to: [{ ipBlock: { cidr: '10.244.0.0/16', except: ['10.244.3.0/24'] } }], ports: [{ port: 'alt' }] });
    expect([block('x/a', 'y/a', 81), block('x/a', 'z/a', 8_081)]).toEqual([true, false]);
  });
  it('a name that no pod has allows nothing', () => expect(ingress({ port: 'nothing' }).clientsOf('x/a')).toBe('x/a'));
  it('peer and port must both hold', () => {
    const { allows } = createWalker(
      input([policy('x/p', { podSelector: a, ingress: [{ from: [{ podSelector: b }], ports: [{ port: 80 }] }] })]),
    );
    expect([allows('x/b', 'x/a', 80), allows('x/b', 'x/a', 81), allows('x/c', 'x/a', 80)]).toEqual([true, false, false]);
  });
});

describe('pods', () => {
  it('on the host network are not isolated and match no selector', () => {
    const host = pod('x/h', '192.168.88.11', { pod: 'a' }, { hostNetwork: true });
    const { allows } = createWalker(
      input([policy('x/p', { podSelector: a, ingress: [{ from: [{ podSelector: a }] }] })], { pods: [...gridPods(), host] }),
    );
    expect(allows('y/a', '192.168.88.11')).toBe(true);
    expect(allows('192.168.88.11', 'x/a')).toBe(false);
  });
  it('that have completed leave every set: their address may be another pod already', () => {
    const done = pod('x/job', '10.244.9.9', { pod: 'b' }, { phase: 'Succeeded' });
    const next = pod('y/new', '10.244.9.9', { pod: 'q' });
    const { allows } = createWalker(
      input([policy('x/p', { podSelector: {}, ingress: [{ from: [{ podSelector: b }] }] })], { pods: [...gridPods(), done, next] }),
    );
    expect(allows('y/new', 'x/a')).toBe(false);
    expect(allows('y/a', 'y/new')).toBe(true);
  });
  it('of other nodes are peers, but isolated on their own node', () => {
    const pods = gridPods().map((each) =>
      each.metadata.namespace === 'x' ? { ...each, spec: { ...each.spec, nodeName: 'node2' } } : each,
    );
    const policies = [
      policy('x/deny', { podSelector: {} }),
      policy('y/from-x', { podSelector: {}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { ns: 'x' } } }] }] }),
    ];
    const here = createWalker(input(policies, { pods }));
    expect(here.allows('y/a', 'x/a')).toBe(true);
    expect(here.clientsOf('y/a')).toBe('x/a x/b x/c y/a');
    expect(createWalker(input(policies, { pods, nodeName: 'node2' })).allows('y/a', 'x/a')).toBe(false);
  });
  it('without an address yet are nobody', () => {
    const waiting = pod('x/w', [], { pod: 'b' });
    expect(createWalker(input([policy('x/p', { podSelector: {} })], { pods: [...gridPods(), waiting] })).clientsOf('x/a')).toBe('x/a');
  });
  it('in a namespace that the cache does not hold yet are selected by its name', () => {
    const { clientsOf } = createWalker(
      input(
        [
          policy('x/p', {
            podSelector: a,
            ingress: [{ from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'y' } } }] }],
          }),
        ],
        {
          namespaces: gridNamespaces().filter(({ metadata }) => metadata.name !== 'y'),
        },
      ),
    );
    expect(clientsOf('x/a')).toBe('x/a y/a y/b y/c');
  });
});
