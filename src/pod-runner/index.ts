export type { ContainerRecord } from './container-record.ts';
export { parseContainerRecord } from './container-record.ts';
export { CniError, PodRunnerError } from './errors.ts';
export { podExecCommand } from './exec-command.ts';
export { knownImages, normalizeImage, resolveImage, type ImageResolution } from './images.ts';
export { step } from './machine/step.ts';
export {
  type ConfigProblem,
  type ContainerMemory,
  type ContainerRun,
  initialPodState,
  type PodAction,
  type PodFacts,
  type PodState,
  type ProbeVerdict,
  type Sandbox,
} from './machine/types.ts';
export { podRunnerDefaults, podRunnerOptions, type PodRunnerOptions, podRunnerSchema } from './options.ts';
export { podStatus } from './render/pod-status.ts';
