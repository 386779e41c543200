// A pod runner in a process of its own, to be killed: `runner-process.ts FOLDER PODS`. Says `started`, and `ready` when all pods are.
import { type Pod, resources } from '../../../src/objects/client.ts';
import { isReady, testNode, eventually } from './node.ts';

const node = testNode(process.argv[2]);
const pods = JSON.parse(process.argv[3]!) as Pod[];
for (const pod of pods) node.cluster.set(resources.pods, pod);
await node.start();
process.stdout.write('started\n');
await eventually('all pods are ready', () => pods.every(({ metadata }) => isReady(node.pod(metadata.name))));
process.stdout.write('ready\n');
