export { ApplyConflictError, ApplyRequestError, ConfigurationError } from './apply-errors.ts';
export { applyConfiguration, trackUpdate } from './field-manager.ts';
export { keepIdleTimes } from './idle-times.ts';
export { fromScaleOwners, toScaleOwners } from './scale.ts';
export { fieldTargetOf, scaleTarget } from './target.ts';
