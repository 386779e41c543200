import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import type { Family } from '../../kube-proxy/scenario-objects.ts';
import type { Bed } from './bed.ts';
import { hostPort, type RealFlow, silence } from './expectation.ts';
import { addresses, placeOf } from './topology.ts';

// Kernels without SCTP sockets still translate the addresses of SCTP packets. Raw sockets send and see them: Node has none, and Perl is part of every Debian.

const sender = `
my ($v6, $from, $to) = @ARGV;
my $family = $v6 ? AF_INET6 : AF_INET;
my $at = sub { my $raw = inet_pton($family, $_[0]); $v6 ? pack_sockaddr_in6(0, $raw) : pack_sockaddr_in(0, $raw) };
socket(my $socket, $family, SOCK_RAW, 132) or die "socket: $!";
bind($socket, $at->($from)) or die "bind: $!";
while (my $line = <STDIN>) { chomp $line; send($socket, pack('H*', $line), 0, $at->($to)) or die "send: $!"; }
`;

// One line for each INIT chunk seen: the address and port it was for, and the source. A socket for each address; a raw IPv4 socket hands out the IP header too.
const watcher = `
my ($v6, @addresses) = @ARGV;
$| = 1;
my $family = $v6 ? AF_INET6 : AF_INET;
my ($bits, %address, %socket) = ('');
for my $address (@addresses) {
  socket(my $socket, $family, SOCK_RAW, 132) or die "socket: $!";
  my $raw = inet_pton($family, $address);
  bind($socket, $v6 ? pack_sockaddr_in6(0, $raw) : pack_sockaddr_in(0, $raw)) or die "bind: $!";
  vec($bits, fileno($socket), 1) = 1;
  ($address{fileno($socket)}, $socket{fileno($socket)}) = ($address, $socket);
}
print "ready\\n";
while (select(my $readable = $bits, undef, undef, undef) > 0) {
  for my $number (grep { vec($readable, $_, 1) } keys %socket) {
    defined(my $from = recv($socket{$number}, my $packet, 2048, 0)) or die "recv: $!";
    $packet = substr($packet, 4 * (ord($packet) & 15)) unless $v6;
    my ($port, $chunk) = unpack('x2 n x8 C', $packet);
    my $source = $v6 ? (unpack_sockaddr_in6($from))[1] : (unpack_sockaddr_in($from))[1];
    print "$address{$number} $port ", inet_ntop($family, $source), "\\n" if $chunk == 1;
  }
}
`;

const watched = ['self', 'here', 'beyond'] as const;
const associations = 64;
const perl = (script: string, family: Family, ...args: readonly string[]): string[] => [
  '-MSocket=:all',
  '-e',
  script,
  family === 6 ? '1' : '',
  ...args,
];

/** Sends the first packets of many associations, and tells who saw them, as peers would answer. */
export async function sendSctp(bed: Bed, { from, to, port }: RealFlow, family: Family): Promise<string> {
  const seen: string[] = [];
  const watchers = watched.map((place) => {
    const child = spawn(
      'nsenter',
      [`--net=${bed.path(place)}`, '--', 'perl', ...perl(watcher, family, ...addresses[place].map((pair) => pair[family === 4 ? 0 : 1]))],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const ready = new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line === 'ready') return resolve();
        const [address, at, source] = line.split(' ') as [string, string, string];
        seen.push(`${place} ${hostPort(address, Number(at))} ${source}`);
      });
      child.once('exit', (code) => reject(new Error(`the SCTP watcher in ${place} ended with ${code}`)));
    });
    return { child, ready };
  });
  try {
    await Promise.all(watchers.map(({ ready }) => ready));
    const packets = Array.from({ length: associations }, (_, index) => initPacket(40_000 + index, port).toString('hex'));
    await bed.runner(placeOf(from)).run('perl', perl(sender, family, from, to), { input: `${packets.join('\n')}\n` });
    for (let waited = 0; seen.length < associations && waited < silence; waited += 20)
      await new Promise((resolve) => setTimeout(resolve, 20));
  } finally {
    for (const { child } of watchers) child.removeAllListeners('exit').kill('SIGKILL');
  }
  return seen.length === 0 ? '! TIMEOUT' : [...new Set(seen)].sort().join('; ');
}

/** An SCTP packet with an INIT chunk (RFC 9260, 3.3.2). */
function initPacket(sourcePort: number, port: number): Buffer {
  const packet = Buffer.alloc(32);
  packet.writeUInt16BE(sourcePort, 0);
  packet.writeUInt16BE(port, 2);
  packet.writeUInt8(1, 12);
  packet.writeUInt16BE(20, 14);
  randomBytes(4).copy(packet, 16);
  packet.writeUInt32BE(65_536, 20);
  packet.writeUInt16BE(1, 24);
  packet.writeUInt16BE(1, 26);
  packet.writeUInt32BE(1, 28);
  packet.writeUInt32LE(crc32c(packet), 8);
  return packet;
}

function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
