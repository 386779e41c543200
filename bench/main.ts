// npm run bench -- NAME [--json] [--rounds N]
import { parseArgs } from 'node:util';
import { type Report, toJson, toText } from './table.ts';

const benchmarks: Readonly<Record<string, () => Promise<{ bench(rounds: number, progress: (text: string) => void): Promise<Report> }>>> = {
  'lab-up': () => import('./lab-up.ts'),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    help: { type: 'boolean', default: false },
  },
});
const load = benchmarks[positionals[0] ?? ''];
const rounds = Number(values.rounds);
if (!load || values.help || !Number.isInteger(rounds) || rounds < 1) {
  process.stderr.write(`Usage: npm run bench -- NAME [--json] [--rounds N]\nNames: ${Object.keys(benchmarks).join(', ')}\n`);
  process.exit(values.help ? 0 : 2);
}
const report = await (await load()).bench(rounds, (text) => process.stderr.write(`${text}\n`));
process.stdout.write(`${values.json ? toJson(report) : toText(report)}\n`);
