import type { Scenario } from '../scenario.ts';
import { access } from './access.ts';
import { applying } from './applying.ts';
import { changing } from './changing.ts';
import { creating } from './creating.ts';
import { deleting } from './deleting.ts';
import { discovery } from './discovery.ts';
import { kinds } from './kinds.ts';
import { misuse } from './misuse.ts';
import { reading } from './reading.ts';
import { workloads } from './workloads.ts';

/** Every scenario, by what it is about. Those that wait for controllers come first, so that others fill their pauses. */
export const scenarios: readonly Scenario[] = [
  ...workloads,
  ...deleting,
  ...kinds,
  ...creating,
  ...reading,
  ...applying,
  ...changing,
  ...access,
  ...misuse,
  ...discovery,
];
