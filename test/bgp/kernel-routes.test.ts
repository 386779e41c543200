import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffKernelRoutes } from '../../src/bgp/index.ts';
import { diffRoutes, type Route, type RouteChange } from '../../src/dataplane/routes.ts';
import { createFakeRouteKernel } from '../../src/kernel/fake-route-kernel.ts';
import { createRouteDriver } from '../../src/kernel/routes.ts';
import { parseAddress, parsePrefix } from '../../src/net/index.ts';

const route = (destination: string, gateway: string, more: Partial<Route> = {}): Route => ({
  destination: parsePrefix(destination),
  gateway: parseAddress(gateway),
  ...more,
});
const text = (change: RouteChange | undefined): Record<string, string[]> | undefined =>
  change &&
  Object.fromEntries(
    Object.entries(change).map(([verb, routes]: [string, readonly Route[]]) => [
      verb,
      routes.map((each) => `${each.destination.text} ${each.gateway?.text}`),
    ]),
  );

describe('the difference of routes', () => {
  it('is nothing for equal ones, though the kernel tells device and metric too', () => {
    const actual = [route('10.1.0.0/24', '10.0.0.2', { device: 'eth0' }), route('fd01::/64', 'fd00::2', { device: 'eth0', metric: 1024 })];
    expect(diffRoutes(actual, [route('fd01::/64', 'fd00::2'), route('10.1.0.0/24', '10.0.0.2')])).toBeUndefined();
  });

  it('adds, replaces and removes', () => {
    const actual = [route('10.1.0.0/24', '10.0.0.2'), route('10.2.0.0/24', '10.0.0.2'), route('10.3.0.0/24', '10.0.0.2')];
    expect(
      text(diffRoutes(actual, [route('10.1.0.0/24', '10.0.0.2'), route('10.2.0.0/24', '10.0.0.9'), route('10.4.0.0/24', '10.0.0.4')])),
    ).toEqual({
      remove: ['10.3.0.0/24 10.0.0.2'],
      replace: ['10.2.0.0/24 10.0.0.9'],
      add: ['10.4.0.0/24 10.0.0.4'],
    });
  });

  it('removes what was appended beside the right route, and another metric', () => {
    const actual = [route('10.1.0.0/24', '10.0.0.2'), route('10.1.0.0/24', '10.0.0.7'), route('10.1.0.0/24', '10.0.0.2', { metric: 5 })];
    expect(text(diffRoutes(actual, [route('10.1.0.0/24', '10.0.0.2')]))).toEqual({
      remove: ['10.1.0.0/24 10.0.0.7', '10.1.0.0/24 10.0.0.2'],
      replace: [],
      add: [],
    });
  });

  it('removes only what was heard of while not all is known', () => {
    const actual = { routes: [route('10.1.0.0/24', '10.0.0.2'), route('10.2.0.0/24', '10.0.0.2')] };
    const desired = { routes: [route('10.1.0.0/24', '10.0.0.3')], known: new Set(['10.1.0.0/24']) };
    expect(text(diffKernelRoutes(actual, desired))).toEqual({ remove: [], replace: ['10.1.0.0/24 10.0.0.3'], add: [] });
    expect(diffKernelRoutes(actual, { routes: [], known: new Set() })).toBeUndefined();
    expect(text(diffKernelRoutes(actual, { routes: [], known: new Set(['10.2.0.0/24']) }))).toEqual({
      remove: ['10.2.0.0/24 10.0.0.2'],
      replace: [],
      add: [],
    });
  });
});

describe('the route driver', () => {
  const kernel = () => createFakeRouteKernel({ eth0: ['10.0.0.0/24', 'fd00::/64'] });

  it('brings any kernel to any desired table in one batch, then finds nothing to do', async () => {
    const entry = fc
      .tuple(fc.nat(6), fc.integer({ min: 2, max: 5 }), fc.boolean())
      .map(([net, host, six]) => (six ? route(`fd01:${net}::/64`, `fd00::${host}`) : route(`10.1.${net}.0/24`, `10.0.0.${host}`)));
    const table = fc.uniqueArray(entry, { selector: ({ destination }) => destination.text, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(table, table, async (before, after) => {
        const fake = kernel();
        const driver = createRouteDriver(fake.runner, { protocol: 176 });
        for (const desired of [before, after]) {
          const change = diffRoutes(await driver.list(), desired);
          const batches = fake.batches;
          if (change) expect(await driver.apply(change)).toEqual([]);
          expect(fake.batches - batches).toBe(change ? 1 : 0);
          expect(diffRoutes(await driver.list(), desired)).toBeUndefined();
        }
      }),
      { numRuns: 100 },
    );
  });

  it('does not see, replace or remove routes of other protocols', async () => {
    const fake = kernel();
    const foreign = { destination: '10.1.1.0/24', gateway: '10.0.0.9', device: 'eth0', protocol: 4, metric: 0 };
    fake.put(foreign);
    const driver = createRouteDriver(fake.runner, { protocol: 176 });
    expect(await driver.list()).toEqual([]);
    expect(
      await driver.apply({ add: [route('10.1.1.0/24', '10.0.0.2')], replace: [], remove: [route('10.1.1.0/24', '10.0.0.9')] }),
    ).toMatchObject([{ reason: 'conflict', detail: 'RTNETLINK answers: File exists' }]);
    expect(fake.routes).toEqual([foreign]);
  });

  it('does the rest of a batch when one route is refused', async () => {
    const fake = kernel();
    const driver = createRouteDriver(fake.runner, { protocol: 176 });
    const failures = await driver.apply({
      add: [route('10.1.1.0/24', '172.16.0.1'), route('10.1.2.0/24', '10.0.0.2'), route('10.9.9.9/32', '10.0.0.3')],
      replace: [],
      remove: [],
    });
    expect(failures).toMatchObject([{ reason: 'unreachable', route: { destination: { text: '10.1.1.0/24' } } }]);
    expect((await driver.list()).map(({ destination }) => destination.text)).toEqual(['10.1.2.0/24', '10.9.9.9/32']);
  });
});
