/** Versions of the CNI spec whose configuration and results are understood, oldest first. */
export const supportedVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

export type CniVersion = (typeof supportedVersions)[number];

export const latestVersion: CniVersion = '1.1.0';

export const isSupportedVersion = (version: string): version is CniVersion => (supportedVersions as readonly string[]).includes(version);

/** Is `version` the same as or later than `other`? */
export const isAtLeast = (version: CniVersion, other: CniVersion): boolean =>
  supportedVersions.indexOf(version) >= supportedVersions.indexOf(other);
