import { rmSync } from 'node:fs';
import { loadPackageDefinition, Server, ServerCredentials, type ServiceClientConstructor, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { join } from 'node:path';

type Answers = Readonly<Record<string, (request: any) => object | Promise<object>>>;

export const grpcError = (code: number, details: string): Error => Object.assign(new Error(details), { code, details });

/** A container runtime that gives the answers it is told to, at a unix socket. What it has no answer for it does not know. */
export async function startFakeCri(
  socket: string,
  answers: Answers,
  version: 'v1' | 'v1alpha2' | 'v0' = 'v1',
): Promise<{ readonly asked: string[]; stop(): void }> {
  const file = join(import.meta.dirname, '../../src/pod-runner/runtime/cri/runtime.proto');
  const definition = loadSync(file, { longs: String, enums: String, defaults: true });
  const root = loadPackageDefinition(definition) as any;
  const server = new Server();
  const asked: string[] = [];
  for (const service of ['RuntimeService', 'ImageService']) {
    const { service: methods } = root.runtime.v1[service] as ServiceClientConstructor;
    const renamed = Object.fromEntries(
      Object.entries(methods).map(([name, method]) => [name, { ...method, path: method.path.replace('runtime.v1', `runtime.${version}`) }]),
    );
    const handlers = Object.keys(methods).map((name) => [
      name,
      async (call: { request: object }, done: (error: Error | null, answer?: object) => void) => {
        asked.push(name);
        try {
          const answer = answers[name];
          if (!answer) throw grpcError(status.UNIMPLEMENTED, `unknown method ${name}`);
          done(null, await answer(call.request));
        } catch (error) {
          done(error as Error);
        }
      },
    ]);
    server.addService(renamed, Object.fromEntries(handlers));
  }
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve())),
  );
  return {
    asked,
    stop() {
      server.forceShutdown();
      rmSync(socket, { force: true });
    },
  };
}
