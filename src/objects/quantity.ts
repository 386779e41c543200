// resource.Quantity of apimachinery's pkg/api/resource: a decimal number with a suffix, exact to a billionth.

/** How a quantity was written, which its normal form keeps. */
type Notation = 'binary' | 'decimal' | 'exponent';

interface Quantity {
  /** In billionths. */
  readonly nanos: bigint;
  readonly notation: Notation;
}

const pattern = /^([+-]?)(\d*)(?:\.(\d*))?(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?\d{1,3}))?$/;
const binary = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
/** From 10^-9 in steps of a thousand. */
const decimal = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const billion = 1_000_000_000n;
/** Larger quantities count as this one, as in Go. */
const most = (2n ** 63n - 1n) * billion;

/** Reads a quantity such as `100m`, `1.5Gi` or `1e3`; undefined when the text is none. What is finer than a billionth is rounded up. */
function parse(text: string): Quantity | undefined {
  const match = text.length > 100 ? null : pattern.exec(text);
  if (!match) return undefined;
  const [, sign, whole = '', fraction = '', binarySuffix, decimalSuffix, exponent] = match;
  if (whole === '' && fraction === '') return undefined;
  let nanos: bigint;
  const digits = BigInt(whole + fraction);
  if (binarySuffix) nanos = scaled(digits * 1024n ** BigInt(binary.indexOf(binarySuffix) + 1), 9 - fraction.length);
  else {
    const power = decimalSuffix ? 3 * (decimal.indexOf(decimalSuffix) - 3) : Number(exponent ?? 0);
    nanos = scaled(digits, power + 9 - fraction.length);
  }
  if (nanos > most) nanos = most;
  return { nanos: sign === '-' ? -nanos : nanos, notation: binarySuffix ? 'binary' : exponent === undefined ? 'decimal' : 'exponent' };
}

/** `value` times ten to the `power`, rounded up. */
function scaled(value: bigint, power: number): bigint {
  if (power >= 0) return value * 10n ** BigInt(power);
  const divisor = 10n ** BigInt(-power);
  return (value + divisor - 1n) / divisor;
}

/** The amount in billionths, to compare and to add; undefined when the value is no quantity. */
export const quantityNanos = (value: string | number): bigint | undefined => parse(String(value))?.nanos;

/** The normal form that Go writes: `0.5` is `500m`, `1024Mi` is `1Gi`, `2000` is `2k`. Undefined when the value is no quantity. */
export function canonicalQuantity(value: string | number): string | undefined {
  const quantity = parse(String(value));
  if (!quantity) return undefined;
  const { nanos, notation } = quantity;
  if (nanos === 0n) return '0';
  const isWhole = nanos % billion === 0n;
  const size = nanos < 0n ? -nanos : nanos;
  if (notation === 'binary' && isWhole && size >= 1024n * billion) return inSteps(nanos / billion, 1024n, ['', ...binary]);
  if (notation !== 'exponent') return inSteps(nanos, 1000n, decimal);
  let [mantissa, power] = [nanos, -9];
  for (; mantissa % 1000n === 0n; mantissa /= 1000n) power += 3;
  return power === 0 ? String(mantissa) : `${mantissa}e${power}`;
}

/** The value with the largest suffix that leaves it whole. */
function inSteps(value: bigint, step: bigint, suffixes: readonly string[]): string {
  let at = 0;
  for (; at < suffixes.length - 1 && value % step === 0n; at++) value /= step;
  return `${value}${suffixes[at]}`;
}
