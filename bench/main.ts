// npm run bench -- NAME [-o text|json] [--rounds N] [--large] [--updates N]
import { parseArgs } from 'node:util';
import { type BenchOptions, MissingReferenceError, type Report, toJson, toText } from './table.ts';

interface Benchmark {
  readonly summary: string;
  readonly load: () => Promise<{ bench(options: BenchOptions): Promise<Report> }>;
}

const benchmarks: Readonly<Record<string, Benchmark>> = {
  'lab-up': { summary: 'from a built checkout to the first answer across nodes', load: () => import('./lab-up.ts') },
  cni: { summary: 'the CNI plugin, beside bridge + host-local', load: () => import('./cni/index.ts') },
  apiserver: { summary: 'the API server, beside a real one and beside etcd alone', load: () => import('./apiserver/index.ts') },
  proxy: { summary: "the service proxy, beside kube-proxy's layouts in the same kernel", load: () => import('./proxy/index.ts') },
  'apiserver-soak': { summary: 'whether the API server grows over a million updates', load: () => import('./apiserver/soak.ts') },
};

const usage = `Usage: npm run bench -- NAME [-o text|json] [--rounds N] [--large] [--updates N]

Names:
${Object.entries(benchmarks)
  .map(([name, { summary }]) => `  ${name.padEnd(16)} ${summary}`)
  .join('\n')}

  -o, --output   text (a table) or json; --json is short for -o json
  --rounds N     how often everything is measured (default 3)
  --large        apiserver: 100k objects too; proxy: kube-proxy's layouts at their full size too
  --updates N    apiserver-soak: how many (default 1000000)
`;

function fail(problem: string): never {
  process.stderr.write(`${problem}\n\n${usage}`);
  process.exit(2);
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        output: { type: 'string', short: 'o', default: 'text' },
        rounds: { type: 'string', default: '3' },
        large: { type: 'boolean', default: false },
        updates: { type: 'string', default: '1000000' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    return fail((error as Error).message);
  }
}

function wholeNumber(flag: string, text: string): number {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 ? value : fail(`--${flag}: expected a whole number from 1, not ${JSON.stringify(text)}`);
}

const { values, positionals } = readArguments();
if (values.help) {
  process.stdout.write(usage);
  process.exit(0);
}
const [name = '', ...more] = positionals;
const benchmark = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined;
const rounds = wholeNumber('rounds', values.rounds);
const updates = wholeNumber('updates', values.updates);
if (!benchmark || more.length > 0) fail(name ? `no benchmark is called ${JSON.stringify(positionals.join(' '))}` : 'which benchmark?');
if (values.output !== 'text' && values.output !== 'json') fail(`--output: expected text or json, not ${JSON.stringify(values.output)}`);
const { bench } = await benchmark.load();
const report = await bench({ rounds, large: values.large, updates, progress: (text) => process.stderr.write(`${text}\n`) }).catch(
  (error: unknown) => {
    if (!(error instanceof MissingReferenceError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  },
);
process.stdout.write(`${values.json || values.output === 'json' ? toJson(report) : toText(report)}\n`);
