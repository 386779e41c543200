export type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** True for 1 to 65535. */
export const isPort = (port: unknown): port is number => Number.isInteger(port) && (port as number) >= 1 && (port as number) <= 65_535;

/** `10.0.0.1:80` or `[fd00::1]:80`. */
export const joinHostPort = (host: string, port: number): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);
