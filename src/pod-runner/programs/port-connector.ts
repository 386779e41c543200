// Runs inside a pod's network: connects to its ports and hands the connected sockets to the pod runner, which started this.
import type { ConnectAnswer, ConnectRequest } from '../runtime/port-connector.ts';
import { connectLocally } from '../runtime/connect-locally.ts';

process.on('message', ({ id, port }: ConnectRequest) => {
  connectLocally(port).then(
    (socket) => {
      socket.on('error', () => socket.destroy());
      process.send?.({ id } satisfies ConnectAnswer, socket, { keepOpen: false }, () => undefined);
    },
    (error: Error) => process.send?.({ id, problem: error.message } satisfies ConnectAnswer),
  );
});
process.once('disconnect', () => process.exit(0));
