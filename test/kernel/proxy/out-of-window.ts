import { destinations, origins } from '../../kube-proxy/scenario-objects.ts';
import { endpointAddresses } from './topology.ts';
import type { World } from './world.ts';

// A segment far outside of the window belongs to no known state of the connection, so that its address would not be put back on the way to the client,
// who would answer the stranger with RST (k/k#74839).

const inject = `
my ($from, $sport, $to, $dport) = @ARGV;
socket(my $socket, AF_INET, SOCK_RAW, 6) or die "socket: $!";
bind($socket, pack_sockaddr_in(0, inet_aton($from))) or die "bind: $!";
my $segment = pack('n n N N C C n n n', $sport, $dport, 1, 1, 5 << 4, 0x10, 100, 0, 0);
my $pseudo = inet_aton($from) . inet_aton($to) . pack('x C n', 6, length $segment);
my $sum = 0;
$sum += $_ for unpack('n*', $pseudo . $segment);
$sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
substr($segment, 16, 2) = pack('n', ~$sum & 0xffff);
send($socket, $segment, 0, pack_sockaddr_in(0, inet_aton($to))) or die "send: $!";
`;

/** Opens a connection from the pod, has the endpoint's place send such a segment, and tells what came of it. */
export async function outOfWindow({ bed, ask }: World): Promise<string> {
  const [client] = origins.pod;
  const [server] = endpointAddresses[3]!;
  await ask('pod', { op: 'open', flow: 'window', protocol: 'TCP', host: destinations.clusterIP[0], port: 80 });
  const { stdout } = await bed.runner('pod').run('ss', ['-Hnt', 'state', 'established', 'dst', destinations.clusterIP[0]]);
  const port = /:(\d+)\s+10\.96/.exec(stdout)?.[1];
  const before = await resets(bed);
  await bed.runner('beyond').run('perl', ['-MSocket=:all', '-e', inject, server, '8080', client, String(port)]);
  // An RST would be there before the echo, which comes by the same way.
  const echo = await ask('pod', { op: 'echo', flow: 'window', text: 'open', timeout: 3_000 });
  const after = await resets(bed);
  await ask('pod', { op: 'close', flow: 'window' });
  return `${port === undefined ? 'not sent' : 'sent'}, resets ${after - before}, the connection ${echo === 'open' ? 'echoes' : `says ${echo}`}`;
}

/** RST segments that the pod has sent. */
async function resets(bed: World['bed']): Promise<number> {
  const { stdout } = await bed.runner('pod').run('cat', ['/proc/net/snmp']);
  const [names, values] = stdout
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.split(' '));
  return Number(values![names!.indexOf('OutRsts')]);
}
