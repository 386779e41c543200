import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  type Client,
  credentials,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServiceClientConstructor,
  type ServiceError,
  status as codes,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { assetFile } from '../runtime/program-files.ts';
import type { AgentStatus } from './status.ts';

interface AgentClient extends Client {
  getStatus(request: object, options: { deadline: Date }, done: (error: ServiceError | null, answer: AgentStatus) => void): void;
}

function agentService(): ServiceClientConstructor {
  const definition = loadSync(assetFile('agent/control.proto'), {
    longs: Number,
    defaults: true,
    arrays: true,
    objects: true,
  });
  const root = loadPackageDefinition(definition) as unknown as { podwire: { agent: { v1: { Agent: ServiceClientConstructor } } } };
  return root.podwire.agent.v1.Agent;
}

/** Serves the control API on a unix socket that only its owner can open; makes its folder when missing. Replaces the socket of a predecessor that was killed. */
export async function startControlServer(socket: string, getStatus: () => AgentStatus): Promise<{ close(): Promise<void> }> {
  const server = new Server();
  server.addService(agentService().service, {
    getStatus: (_call: unknown, done: (error: object | null, answer?: AgentStatus) => void) => {
      try {
        done(null, getStatus());
      } catch (error) {
        done({ code: codes.INTERNAL, details: error instanceof Error ? error.message : String(error) });
      }
    },
  });
  mkdirSync(dirname(socket), { recursive: true });
  rmSync(socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
  chmodSync(socket, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        server.tryShutdown(() => resolve());
        setTimeout(() => server.forceShutdown(), 500).unref();
      }),
  };
}

/** Asks an agent for its status over its socket. Rejects when it does not answer within `timeout` milliseconds. */
export function fetchStatus(socket: string, timeout = 2_000): Promise<AgentStatus> {
  const client = new (agentService())(`unix:${socket}`, credentials.createInsecure()) as unknown as AgentClient;
  return new Promise<AgentStatus>((resolve, reject) => {
    client.getStatus({}, { deadline: new Date(Date.now() + timeout) }, (error, answer) => (error ? reject(error) : resolve(answer)));
  }).finally(() => client.close());
}
