// One measurement in a process and a network namespace of its own: `worker.ts TASK ARGUMENTS-AS-JSON` prints its result as JSON.
import { tasks } from './tasks.ts';

const [task = '', text = '{}'] = process.argv.slice(2);
if (!Object.hasOwn(tasks, task)) throw new RangeError(`no task is called ${JSON.stringify(task)}`);
const result: unknown = await tasks[task as keyof typeof tasks](JSON.parse(text) as never);
process.stdout.write(`${JSON.stringify(result)}\n`);
// Programs that were kept running end with this process.
process.exit(0);
