import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from './cluster.ts';
import { type Kubectl, kubeconfigIn, kubectlIn, writeKubeconfig } from './kubectl.ts';
import { kubectlVersions } from './programs.ts';
import { runScenario } from './runner.ts';
import type { Scenario } from './scenario.ts';
import { scenarios } from './scenarios/index.ts';

/*
 * The scenarios with every kubectl on this machine (1.27 and later) against one cluster, each in a namespace of its own.
 * PODWIRE_CONFORMANCE_KUBECONFIG=FILE holds the scenarios against the cluster of that kubeconfig instead;
 * PODWIRE_CONFORMANCE_KUBECTL=1.27,1.33 takes these versions alone; the oldest and the newest of those taken run all scenarios.
 */
const only = process.env['PODWIRE_CONFORMANCE_KUBECTL']?.split(',');
const programs = (await kubectlVersions()).filter(({ minor }) => !only || only.includes(`1.${minor}`));

it('kubectl is on this machine', () => {
  const hint = 'no kubectl from 1.27 on was found on the PATH: install one (https://kubernetes.io/docs/tasks/tools/)';
  expect(programs.length, hint).toBeGreaterThan(0);
});

describe.runIf(programs.length > 0)('the API server as', { timeout: 180_000 }, () => {
  let cluster: Cluster;
  let administrator: Kubectl;
  let server = 0;
  const made: string[] = [];

  beforeAll(async () => {
    cluster = await startCluster();
    administrator = kubectlIn(programs.at(-1)!.file, cluster.folder, join(cluster.folder, 'cache'), cluster.kubeconfig);
    const { stdout } = await administrator(['get', '--raw', '/version']).finished;
    // Some builds tell no minor version of their own.
    server = Number(/^v1\.(\d+)/.exec(JSON.parse(stdout).gitVersion)?.[1]);
    expect(server, stdout).toBeGreaterThan(0);
  }, 60_000);

  afterAll(async () => {
    if (cluster && !cluster.own && made.length > 0) await administrator(['delete', '--ignore-not-found', '--wait=false', ...made]).finished;
    await cluster?.stop();
  }, 60_000);

  describe.each(programs)('kubectl 1.$minor sees it', ({ file, minor }) => {
    const isAtEnd = minor === programs[0]!.minor || minor === programs.at(-1)!.minor;
    it.concurrent.each(scenarios.filter(({ ends }) => isAtEnd || !ends))('$name', async (scenario: Scenario) => {
      const versions = { kubectl: minor, server, own: cluster.own };
      const namespace = `c${scenarios.indexOf(scenario)}-1-${minor}-${process.pid}`;
      const folder = join(cluster.folder, namespace);
      mkdirSync(folder);
      writeKubeconfig(cluster.kubeconfig, namespace, kubeconfigIn(folder));
      const kubectl = kubectlIn(file, folder, join(cluster.folder, `cache-1.${minor}`), kubeconfigIn(folder));
      const { code, stderr } = await kubectl(['create', 'namespace', namespace]).finished;
      expect(`${code} ${stderr}`).toBe('0 ');
      made.push(`namespace/${namespace}`, ...(scenario.leaves ?? []).map((name) => name.replaceAll('@ns', namespace)));
      await runScenario(scenario, kubectl, folder, namespace, versions);
    });
  });
});
