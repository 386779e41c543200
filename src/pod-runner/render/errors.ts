/** A container whose configuration cannot be made; kubelet's reason for it is CreateContainerConfigError. */
export class ContainerConfigError extends Error {
  constructor(container: string, problem: string) {
    super(`container ${JSON.stringify(container)}: ${problem}`);
    this.name = 'ContainerConfigError';
  }
}
