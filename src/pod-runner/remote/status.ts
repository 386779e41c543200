import type { Status } from '../../objects/client.ts';

/** What the error stream of exec and attach says at the end. */
export type RemoteStatus = Pick<Status, 'status' | 'message' | 'reason' | 'details'> & { readonly metadata: object };

export const succeeded: RemoteStatus = { metadata: {}, status: 'Success' };

/** How a command ended: the reason and cause by which clients find the exit code (KEP-4006, `v4.channel.k8s.io`). */
export const commandEnded = (exitCode: number): RemoteStatus =>
  exitCode === 0
    ? succeeded
    : {
        metadata: {},
        status: 'Failure',
        message: `command terminated with non-zero exit code: exit status ${exitCode}`,
        reason: 'NonZeroExitCode',
        details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
      };

export const internalFailure = (message: string): RemoteStatus => ({
  metadata: {},
  status: 'Failure',
  message: `Internal error occurred: ${message}`,
  reason: 'InternalError',
  details: { causes: [{ message }] },
});

/** The bytes of a status: JSON since v4; before, the message of a failure, and nothing for success. */
export const encodeStatus = (status: RemoteStatus, asJson: boolean): string =>
  asJson ? JSON.stringify(status) : status.status === 'Failure' ? (status.message ?? '') : '';
