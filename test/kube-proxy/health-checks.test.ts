import { get } from 'node:http';
import { expect, test } from 'vitest';
import { compileProxy } from '../../src/kube-proxy/index.ts';
import { healthCheckAnswers } from '../../src/kube-proxy/health-checks.ts';
import { silentLogger } from '../../src/runtime/log.ts';
import { createPortServers } from '../../src/runtime/port-servers.ts';
import { endpoint, node, service, slice } from './objects.ts';

const answersOf = (states: readonly ('ready' | 'unready' | 'serving-terminating')[], isHealthy = true) => {
  const services = [
    service(
      { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 31_000 },
      {},
      { loadBalancer: { ingress: [{ ip: '203.0.113.9' }] } },
    ),
  ];
  const endpointSlices = [
    slice([...states.map((state, index) => endpoint(`10.244.1.${index + 2}`, 'worker-1', state)), endpoint('10.244.2.9', 'worker-2')]),
  ];
  return healthCheckAnswers([compileProxy({ nodeName: 'worker-1', node: node(), services, endpointSlices }, 4)], isHealthy);
};

test('a node with endpoints that are ready takes traffic of the load balancer', () => {
  const answer = answersOf(['ready', 'unready', 'ready']).get(31_000)!;
  expect(answer).toMatchObject({ code: 200, headers: { 'x-load-balancing-endpoint-weight': '2' } });
  expect(JSON.parse(answer.body)).toEqual({
    service: { namespace: 'default', name: 'web' },
    localEndpoints: 2,
    serviceProxyHealthy: true,
  });
});

test.each([
  ['no endpoint of its own', answersOf([])],
  ['endpoints that terminate only', answersOf(['serving-terminating'])],
  ['a proxy that is not healthy', answersOf(['ready'], false)],
])('one with %s does not', (_title, answers) => {
  expect(answers.get(31_000)?.code).toBe(503);
});

test('ports are opened and closed as they come and go, and one that is taken is told', async () => {
  const servers = createPortServers(silentLogger());
  const other = createPortServers(silentLogger());
  const answer = { code: 200, headers: {}, body: 'yes' };
  const port = 20_000 + (process.pid % 10_000);
  const status = (): Promise<number | string> =>
    new Promise((resolve) => {
      get({ port, host: '127.0.0.1', agent: false }, (response) => resolve(response.resume().statusCode ?? 0)).on('error', ({ message }) =>
        resolve(message),
      );
    });
  try {
    expect(await servers.serve(new Map([[port, answer]]))).toEqual(new Map());
    expect(await status()).toBe(200);
    await servers.serve(new Map([[port, { ...answer, code: 503 }]]));
    expect(await status()).toBe(503);
    expect((await other.serve(new Map([[port, answer]]))).get(port)).toMatch(/EADDRINUSE/);
    await servers.serve(new Map());
    expect(await status()).toMatch(/ECONNREFUSED/);
    expect(await other.serve(new Map([[port, answer]]))).toEqual(new Map());
  } finally {
    await servers.close();
    await other.close();
  }
});
