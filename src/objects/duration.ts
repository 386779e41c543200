/** Milliseconds of each unit that Go's time.ParseDuration knows. */
const unitMilliseconds: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

const number = String.raw`(?:\d+\.?\d*|\.\d+)`;
const whole = new RegExp(`^([+-]?)(0|(?:${number}(?:ns|us|µs|μs|ms|s|m|h))+)$`);
const part = new RegExp(`(${number})(ns|us|µs|μs|ms|s|m|h)`, 'g');

/** A duration as Go reads it and as metav1.Duration carries it (`500ms`, `1m30s`, `0`), in milliseconds; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const [, sign, parts] = whole.exec(text.length > 100 ? '' : text) ?? [];
  if (parts === undefined) return undefined;
  const sum = [...parts.matchAll(part)].reduce((total, [, count, unit]) => total + Number(count) * unitMilliseconds[unit!]!, 0);
  // Fractions of hours and seconds are no binary fractions.
  const milliseconds = Number(sum.toPrecision(15));
  return sign === '-' && milliseconds !== 0 ? -milliseconds : milliseconds;
}

/** A duration as Go prints it: 90_000 is `1m30s`, 1.5 is `1.5ms`, 0 is `0s`. Takes milliseconds. */
export function printDuration(milliseconds: number): string {
  if (milliseconds < 0) return `-${printDuration(-milliseconds)}`;
  if (milliseconds === 0) return '0s';
  if (milliseconds < 1_000) {
    const microseconds = Math.round(milliseconds * 1e6) / 1e3;
    if (milliseconds >= 1) return `${microseconds / 1_000}ms`;
    return microseconds >= 1 ? `${microseconds}µs` : `${Math.round(microseconds * 1e3)}ns`;
  }
  const seconds = Math.round(milliseconds * 1e6) / 1e9;
  const hours = Math.floor(seconds / 3_600);
  const minutes = Math.floor((seconds % 3_600) / 60);
  const rest = Math.round((seconds % 60) * 1e9) / 1e9;
  return `${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${rest}s`;
}
