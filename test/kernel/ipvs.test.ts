// Mode ipvs on a kernel that has IPVS: user-mode Linux. The scenario list is sent there by proxy-packets.test.ts.
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { runInUml } from './support/uml.ts';

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

t.test('mode ipvs on a real kernel', { timeout: 290_000 }, async (t) => {
  const output = await runInUml(file('./ipvs/program.ts'), [], {
    modules: ['ipv6', 'br_netfilter', 'ip_vs', 'ipip'],
    programs: [file('./proxy/peer-process.ts'), file('./ipvs/port-reuse.ts')],
    timeout: 280_000,
  });
  const { behaviours, ...rest } = JSON.parse(output) as Record<string, unknown> & { readonly behaviours: Record<string, unknown> };

  t.test('the tools tell what was printed for them, after each change', async (t) => {
    t.same(rest['IPv4'], ['', '', '']);
    t.same(rest['IPv6'], ['']);
  });
  t.test('the link is shared by both families and goes with the last; nothing at all is left', async (t) => {
    t.equal(rest['addresses of IPv6'], true);
    t.equal(rest['residue'], '');
  });
  t.test('Maglev hashing tells connections of one client apart, and timeouts are set', async (t) => {
    t.match(rest['maglev'], /^-A -t 10\.96\.0\.1:80 -s mh -p 10800 -b mh-port$/m);
    t.same(rest['timeouts'], [60, 120, 300]);
  });
  t.test('a connection outlives its endpoint, which takes no new one and goes when it has ended', async (t) => {
    t.same(behaviours['draining'], {
      greeting: 'self 10.244.1.2:8080 10.244.1.77',
      sent: true,
      idle: 0,
      fresh: 'here 10.244.1.3:8080 10.244.1.77',
      echoed: 'still here',
      left: 0,
      reals: ['10.244.1.3:8080'],
    });
  });
  t.test('a UDP client that keeps its socket finds the endpoint that took the place of the one that is gone', async (t) => {
    t.same(behaviours['udp'], { first: 'self 10.244.1.2:8080 10.244.1.77', second: 'here 10.244.1.3:8080 10.244.1.77' });
  });
  t.test('a process of the node that chooses no source is answered', async (t) => {
    t.same(behaviours['own source'], {
      'cluster IP': 'here 10.244.1.3:8080 10.244.1.1',
      'cluster IP without cluster CIDR': 'here 10.244.1.3:8080 10.244.1.1',
      'external IP, policy Local': 'here 10.244.1.3:8080 10.244.1.1',
    });
  });
  t.test('a connection from a port used just before is not kept waiting', async (t) => {
    const { outcomes, counts } = behaviours['port reuse'] as { outcomes: string[]; counts: number[] };
    t.same(
      outcomes,
      Array.from({ length: 5 }, () => 'connected'),
    );
    // Before Linux 5.9 each but the first would lose its first SYN, unless conn_reuse_mode were 0.
    t.ok(
      counts.slice(1).some((count) => count === 0),
      `SYNs sent again: ${counts.join()}`,
    );
  });
  t.test('ARP for a service address is answered, unless strict ARP is wanted', async (t) => {
    t.same(behaviours['arp'], { lax: 'self', strict: '!' });
  });
  t.test('an endpoint answers past the node with direct server return', async (t) => {
    t.same(behaviours['direct return'], { droute: 'here 203.0.113.7:8080 192.0.2.5', tunnel: 'here 203.0.113.7:8080 192.0.2.5' });
  });
});
