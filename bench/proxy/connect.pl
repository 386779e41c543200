# How long a blocking connect(2) takes, without an event loop in between: connect.pl ROUNDS PORT ADDRESS... prints, for each address in its
# order, the median in microseconds. The addresses take turns. The connection is reset, so that no port stays taken.
use strict;
use warnings;
use Socket;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my ($rounds, $port, @addresses) = @ARGV;
my @targets = map { pack_sockaddr_in($port, inet_aton($_)) } @addresses;
my @times = map { [] } @addresses;
for my $round (1 .. $rounds) {
    for my $index (0 .. $#targets) {
        socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
        setsockopt($socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) or die "linger: $!";
        my $start = clock_gettime(CLOCK_MONOTONIC);
        connect($socket, $targets[$index]) or die "connect to $addresses[$index]: $!";
        push @{$times[$index]}, (clock_gettime(CLOCK_MONOTONIC) - $start) * 1e6;
        close($socket);
    }
}
print join(' ', map { (sort { $a <=> $b } @$_)[int(@$_ / 2)] } @times), "\n";
