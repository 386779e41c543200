import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { labComponents } from '../../src/lab/components.ts';
import { containerdConfig, containerdLayout, crunScript, loopbackScript, startScript } from '../../src/lab/cri/containerd.ts';
import { ociArchive, tarArchive } from '../../src/lab/cri/oci-archive.ts';
import { pauseArchive } from '../../src/lab/cri/pause-image.ts';
import { writeContainerdFiles } from '../../src/lab/cri/start-files.ts';
import { labLayout } from '../../src/lab/layout.ts';
import { resolveTopology } from '../../src/lab/topology.ts';

const folder = mkdtempSync(join(tmpdir(), 'podwire-cri-'));
afterAll(() => rmSync(folder, { recursive: true }));

function unpack(archive: Buffer, name: string): string {
  const [file, into] = [join(folder, `${name}.tar`), join(folder, name)];
  writeFileSync(file, archive);
  execFileSync('mkdir', ['-p', into]);
  execFileSync('tar', ['-xf', file, '-C', into]);
  return into;
}

describe('an image archive', () => {
  it('is a tar that tar(1) unpacks as it was meant', () => {
    const into = unpack(
      tarArchive([
        { path: 'a/' },
        { path: 'a/file', content: Buffer.from('x'.repeat(513)), mode: 0o640 },
        { path: 'a/link', link: 'file' },
        { path: 'empty' },
      ]),
      'plain',
    );
    expect(readFileSync(join(into, 'a/link'), 'utf8')).toBe('x'.repeat(513));
    expect(statSync(join(into, 'a/file')).mode & 0o777).toBe(0o640);
    expect(statSync(join(into, 'empty')).size).toBe(0);
  });

  it('is an OCI image layout whose blobs have the digests and sizes that are said of them', () => {
    const into = unpack(ociArchive({ name: 'example.com/x:1', files: [{ path: 'f' }], entrypoint: ['/f'] }, 'arm64'), 'image');
    const json = (file: string) => JSON.parse(readFileSync(join(into, file), 'utf8'));
    const blob = (digest: string) => `blobs/sha256/${digest.replace('sha256:', '')}`;
    const [manifest] = json('index.json').manifests;
    expect(manifest.annotations['io.containerd.image.name']).toBe('example.com/x:1');
    const { config, layers } = json(blob(manifest.digest));
    for (const { digest, size } of [manifest, config, ...layers]) {
      expect(
        `sha256:${createHash('sha256')
          .update(readFileSync(join(into, blob(digest))))
          .digest('hex')}`,
      ).toBe(digest);
      expect(statSync(join(into, blob(digest))).size).toBe(size);
    }
    expect(json(blob(config.digest))).toMatchObject({
      architecture: 'arm64',
      config: { Entrypoint: ['/f'] },
      rootfs: { diff_ids: [layers[0].digest] },
    });
  });

  it('is refused for a name that does not fit and for an architecture without a name', () => {
    expect(() => tarArchive([{ path: 'x'.repeat(101) }])).toThrow(/too long a name/);
    expect(() => pauseArchive('mips')).toThrow(/no pause program is known for the architecture mips/);
  });

  it('of sandboxes holds a program that waits until it is ended', async () => {
    const into = unpack(pauseArchive(process.arch), 'pause');
    const index = JSON.parse(readFileSync(join(into, 'index.json'), 'utf8'));
    const blob = (digest: string): string => join(into, 'blobs/sha256', digest.slice('sha256:'.length));
    const manifest = JSON.parse(readFileSync(blob(index.manifests[0].digest), 'utf8'));
    const program = join(unpack(readFileSync(blob(manifest.layers[0].digest)), 'layer'), 'pause');
    const child = spawn(program, { stdio: 'ignore' });
    await once(child, 'spawn');
    // It sleeps in the kernel: neither ended at once nor running in circles.
    const state = (): string => /^State:\s+(\S)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1]!;
    await expect.poll(state, { timeout: 5_000 }).toBe('S');
    const ended = once(child, 'exit');
    child.kill();
    expect(await ended).toEqual([null, 'SIGTERM']);
  });
});

describe('a containerd of a node', () => {
  it('keeps everything below its folder', () => {
    const config = containerdConfig(containerdLayout('/lab/cri'), { cniConfDir: '/lab/net.d', cniBinDir: '/lab/bin' });
    expect([...config.matchAll(/"(\/[^"]*)"/g)].map(([, path]) => path)).toSatisfy((paths: string[]) =>
      paths.every((path) => path.startsWith('/lab/')),
    );
    expect(config).toContain('[plugins."io.containerd.grpc.v1.cri".cni]\nconf_dir = "/lab/net.d"\nbin_dir = "/lab/bin"\n');
  });

  it('is started by scripts without a fault that a checker would find', () => {
    for (const [name, script] of Object.entries({ crunScript, loopbackScript, startScript })) {
      const file = join(folder, name);
      writeFileSync(file, script);
      expect(() => execFileSync('shellcheck', [file], { encoding: 'utf8' })).not.toThrow();
    }
  });

  it('is refused where the path of its socket would be too long', async () => {
    const layout = containerdLayout(join(folder, 'x'.repeat(100)));
    await expect(writeContainerdFiles(layout, { cniConfDir: '/none', cniBinDir: '/none' })).rejects.toThrow(/too long a path for a socket/);
  });

  it('is a daemon of the lab, which the pod runner and the network configuration know of', () => {
    const topology = resolveTopology({ nodes: [{ name: 'a' }, { name: 'b', runtime: 'cri' }] });
    const layout = labLayout('/state', 'x');
    const components = labComponents(topology, layout);
    const argsOf = (name: string): string => components.find((component) => component.name === name)!.args.join(' ');
    expect(components.map(({ name }) => name)).toEqual(expect.arrayContaining(['b.containerd']));
    expect(components.map(({ name }) => name)).not.toContain('a.containerd');
    expect(argsOf('b.pod-runner')).toContain('--container-runtime-endpoint unix:///state/labs/x/nodes/b/cri/sock');
    expect(argsOf('b.agent')).toContain('--cni-version 1.0.0');
    expect(argsOf('a.pod-runner') + argsOf('a.agent')).not.toMatch(/--container-runtime-endpoint|--cni-version/);
  });
});
