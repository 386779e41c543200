import type { WebSocket } from 'ws';
import { channelProtocols, websocketChannels } from '../../../transport/websocket-channels.ts';
import type { RemoteCommandOptions } from '../../remote/requests.ts';
import { encodeStatus } from '../../remote/status.ts';
import type { RemoteStreams } from './remote-streams.ts';

/** Subprotocols of exec and attach over WebSocket; '' for a client that names none. */
export const commandSubprotocols: readonly string[] = [
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'channel.k8s.io',
  'base64.channel.k8s.io',
];

const channelCount = 5;

/** The streams as channels of a WebSocket: 0 stdin, 1 stdout, 2 stderr, 3 error, 4 resize. */
export function websocketStreams(socket: WebSocket, { stdin, stdout, stderr, tty }: RemoteCommandOptions): RemoteStreams {
  const protocol = channelProtocols[socket.protocol] ?? { base64: false, closeSignal: false };
  const channels = websocketChannels(socket, { ...protocol, count: channelCount });
  const [input, output, errors, status, resize] = channels;
  if (!stdin) input!.resume();
  if (!tty) resize!.resume();
  // An empty message tells the client that the connection stands.
  const first = stdout ? 1 : stderr ? 2 : 3;
  socket.send(protocol.base64 ? String(first) : Buffer.of(first));
  return {
    stdin: stdin ? input : undefined,
    stdout: stdout ? output : undefined,
    stderr: stderr ? errors : undefined,
    resize: tty ? resize : undefined,
    finish(result) {
      const bytes = encodeStatus(result, socket.protocol.startsWith('v4'));
      const end = (): void => socket.close(1000);
      if (bytes === '') end();
      else status!.write(bytes, end);
    },
    onClose(listener) {
      if (socket.readyState === socket.CLOSED) listener();
      else socket.once('close', listener);
    },
  };
}
