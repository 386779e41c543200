/** Letters and digits that make no words and are not mixed up (apimachinery's util/rand). */
const suffixLetters = 'bcdfghjklmnpqrstvwxz2456789';

/** The prefix and five random characters, within the 63 characters that most names may have. `random` gives numbers in [0, 1). */
export function generateName(prefix: string, random: () => number): string {
  const suffix = Array.from({ length: 5 }, () => suffixLetters[Math.floor(random() * suffixLetters.length)]).join('');
  return prefix.slice(0, 63 - suffix.length) + suffix;
}
