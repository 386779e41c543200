import type { FastifyInstance, FastifyReply } from 'fastify';
import { servedKinds } from '../objects/index.ts';
import {
  aggregatedContentType,
  aggregatedDiscovery,
  aggregatedVersion,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
} from './discovery.ts';
import { encodeAnswer } from './encode.ts';
import { sendExactType } from './exact-type.ts';
import { negotiate } from './negotiate.ts';
import { readOnly } from './read-only.ts';
import { noSuchPath } from './status-errors.ts';

/** /api, /apis and what is below them, up to the resources. `serverAddress` is host:port. */
export function registerDiscovery(app: FastifyInstance, serverAddress: string): void {
  const send = async (reply: FastifyReply, accept: string | undefined, content: object | undefined): Promise<FastifyReply> => {
    if (!content) throw noSuchPath();
    const { encoding } = negotiate(accept, 'plain');
    // Discovery has no protobuf of its own here; its clients take JSON as well.
    const { contentType, body } = await encodeAnswer(encoding === 'protobuf' ? 'json' : encoding, JSON.stringify(content));
    return reply.header('cache-control', 'no-cache, private').type(contentType).send(body);
  };
  for (const core of [true, false]) {
    readOnly(app, core ? '/api' : '/apis', ({ headers }, reply) => {
      reply.header('vary', 'Accept');
      const version = aggregatedVersion(headers.accept);
      if (!version) return send(reply, headers.accept, core ? apiVersions(serverAddress) : apiGroupList(servedKinds));
      return sendExactType(reply, aggregatedContentType(version), JSON.stringify(aggregatedDiscovery(servedKinds, core, version)));
    });
  }
  readOnly<{ version: string }>(app, '/api/:version', ({ headers, params }, reply) =>
    send(reply, headers.accept, apiResourceList(servedKinds, '', params.version)),
  );
  readOnly<{ group: string }>(app, '/apis/:group', ({ headers, params }, reply) =>
    send(reply, headers.accept, apiGroup(servedKinds, params.group)),
  );
  readOnly<{ group: string; version: string }>(app, '/apis/:group/:version', ({ headers, params }, reply) =>
    send(reply, headers.accept, apiResourceList(servedKinds, params.group, params.version)),
  );
}
