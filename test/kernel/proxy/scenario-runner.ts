import { arrange, type Family, flowOf, type Variant } from '../../kube-proxy/scenario-objects.ts';
import { type Scenario, scenarios } from '../../kube-proxy/scenarios.ts';
import type { Bed } from './bed.ts';
import { possibleAnswers, probeFor, type RealFlow, type WantedOutcome } from './expectation.ts';
import { createLoader, forgetConnections } from './loader.ts';
import { withOrigin } from './origins.ts';
import { sendSctp } from './sctp.ts';
import { placeOf } from './topology.ts';

/** What became of the packets of one row, and what should have: answers as peers give them, joined. */
export interface RowResult {
  readonly row: string;
  readonly got: string;
  readonly wanted: string;
}

/** Sends real packets for every row of the scenario list, in both families, with the node programmed in this way. */
export async function runScenarios(bed: Bed, variant: Variant, rows: readonly Scenario[] = scenarios): Promise<RowResult[]> {
  const results: RowResult[] = [];
  const loaders = { 4: createLoader(bed.runner('node'), 4), 6: createLoader(bed.runner('node'), 6) };
  for (const row of byOptions(rows)) {
    const families = ([4, 6] as const).filter((family) => row.only === undefined || row.only === family);
    const arranged = families.map((family) => ({ family, ...arrange(row, family, variant) }));
    for (const { family, model, facts, options } of arranged) await loaders[family].load(model, facts, options);
    // A TCP connection begins anew with each SYN; the others are taken for going on when ports meet again.
    if (row.protocol === 'UDP' || row.protocol === 'SCTP') await forgetConnections(bed.runner('node'));
    await withOrigin(bed, row, async () => {
      const answers = arranged.map(async ({ family, wanted, expected }): Promise<RowResult> => {
        const backends = expected.map((text) => ({ text, address: addressIn(text), masquerade: wanted.masquerade === true }));
        const outcome: WantedOutcome = { outcome: wanted.outcome, backends };
        const flow = flowOf(row, family);
        const possible = possibleAnswers(flow, outcome, family).sort();
        return { row: `IPv${family}: ${row.title}`, got: await send(bed, flow, possible, family), wanted: possible.join('; ') };
      });
      results.push(...(await Promise.all(answers)));
    });
  }
  for (const family of [4, 6] as const) {
    const difference = await loaders[family].difference();
    results.push({
      row: `IPv${family}: the kernel holds what was meant`,
      got: JSON.stringify(difference) ?? 'nothing else',
      wanted: 'nothing else',
    });
    await loaders[family].clear();
  }
  return results;
}

/** Rows with the same options one after the other, so that one proxy serves them. */
const byOptions = (rows: readonly Scenario[]): Scenario[] =>
  [...Map.groupBy(rows, ({ options = {} }) => JSON.stringify(options)).values()].flat();

async function send(bed: Bed, flow: RealFlow, possible: readonly string[], family: Family): Promise<string> {
  const { protocol } = flow;
  if (protocol === 'SCTP') return sendSctp(bed, flow, family);
  const [answer] = await bed.ask(placeOf(flow.from), { op: 'probe', probes: [probeFor({ ...flow, protocol }, possible)] });
  return answer!;
}

/** Of `address:port` or `[address]:port`. */
const addressIn = (text: string): string => text.slice(0, text.lastIndexOf(':')).replace(/^\[|\]$/g, '');
