/** What /version answers. The number is that of the Kubernetes API served, so that kubectl can judge the skew. */
export const versionInfo = (): object => ({
  major: '1',
  minor: '33',
  gitVersion: 'v1.33.0+podwire',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: `node${process.versions.node}`,
  compiler: 'node',
  platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
});
