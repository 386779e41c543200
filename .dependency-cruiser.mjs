// The layer rules of docs/design/architecture.md. Each says why in plain words.
const effectRooms = 'kernel|kube|transport|storage|runtime|api-server';
const features = 'ipam|cni-plugin|bgp|kube-proxy|dns|netpol|controllers|pod-runner';
const composers = 'agent|lab|cli';
// The files of a feature that may have effects. runtime/ and programs/ of the pod runner, and the effect side of ipam's state, are effects by nature.
const effectFiles = '(^|/)(daemon|main)\\.ts$|^src/(controllers|pod-runner|cni-plugin|ipam|kube-proxy)/(effects|programs|runtime)/';

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      comment: 'Two files that need each other are one file, or three: neither can be read, tested or moved alone.',
      from: {},
      to: { circular: true },
    },
    {
      name: 'net-knows-nothing',
      severity: 'error',
      comment: 'net/ is the ground floor: addresses and ports must make sense without Kubernetes, kernels or daemons.',
      from: { path: '^src/net/' },
      to: { path: '^src/(?!net/)' },
    },
    {
      name: 'one-door-to-ip-libraries',
      severity: 'error',
      comment: 'Addresses have one representation. A second importer of ipaddr.js or ip-cidr brings a second one.',
      from: { path: '^src/(?!net/)' },
      to: { path: 'node_modules/(ipaddr\\.js|ip-cidr)/' },
    },
    {
      name: 'one-door-to-processes',
      severity: 'error',
      comment: 'Commands are started through kernel/command-runner, so that tests, dry runs and explanations can stand in for it.',
      from: { path: '^src/(?!kernel/)' },
      to: { path: 'node_modules/execa/' },
    },
    {
      name: 'data-rooms-know-no-effects',
      severity: 'error',
      comment:
        'objects/, dataplane/ and packet-walk/ are data and pure functions; with an effect in them, nothing above could be tested without a kernel.',
      from: { path: '^src/(objects|dataplane|packet-walk)/' },
      to: { path: `^src/(${effectRooms}|${features}|${composers})/` },
    },
    {
      name: 'effects-know-no-feature',
      severity: 'error',
      comment: 'The doors to kernel, cluster, network and disk serve every feature alike; one that knows a feature serves only that one.',
      from: { path: `^src/(${effectRooms})/` },
      to: { path: `^src/(${features}|${composers})/` },
    },
    {
      name: 'pure-files-have-no-effects',
      severity: 'error',
      comment:
        'A feature decides in pure files and acts in daemon.ts. A decision that imports an effect cannot be replayed, diffed or explained.',
      from: { path: `^src/(${features})/`, pathNot: effectFiles },
      to: { path: `^src/(${effectRooms})/`, pathNot: '^src/kernel/command-runner\\.ts$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'features-meet-at-the-front-door',
      severity: 'error',
      comment: 'Features use each other only through index.ts, so that the inside of one can change without the others noticing.',
      from: { path: `^src/(${features})/` },
      to: { path: `^src/(${features})/`, pathNot: ['^src/$1/', '/index\\.ts$'] },
    },
    {
      name: 'index-is-pure',
      severity: 'error',
      comment: 'index.ts is the pure face of a feature. If it re-exported daemon.ts, importing one type would pull in the kernel.',
      from: { path: `^src/(${features})/index\\.ts$` },
      to: { path: '(^|/)(daemon|main)\\.ts$' },
    },
    {
      name: 'nobody-imports-the-composers',
      severity: 'error',
      comment: 'agent/, lab/ and cli/ put the parts together. A part that imports them cannot be used without the whole.',
      from: { path: `^src/(?!(${composers})/)` },
      to: { path: `^src/(${composers})/` },
    },
    {
      name: 'no-orphan-dev-dependency',
      severity: 'error',
      comment: 'What src/ needs at run time must be a dependency, or an installed podwire breaks.',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    parser: 'swc',
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
