// The reward bars of a group: which parts they have, and one scale for all rows. A reward may be negative or unbounded.

/**
 * The reward functions that count; those of weight 0 are only shown in hovers.
 * @param {object|null} record  @returns {{name: string, weight: number}[]}
 */
export function rewardParts(record) {
  const names = record?.reward_names ?? [];
  const parts = names.map((name, i) => ({ name, weight: record.reward_weights?.[i] ?? 1 }));
  const counted = parts.filter(({ weight }) => weight !== 0);
  return counted.length ? counted : parts;
}

/**
 * Bars start at zero, wherever zero is. The true reward beside a learned one has a scale of its own: the two are in
 * different units.
 * @param {object} record
 * @returns {{parts: (number|null)[][], low: number, high: number, truth: {low: number, high: number}|null}}
 */
export function rewardScale(record) {
  const counted = rewardParts(record);
  const parts = record.completions.map((c) =>
    counted.map(({ name, weight }) => (c.rewards[name] == null ? null : c.rewards[name] * weight)),
  );
  const side = (sign) => parts.map((p) => p.reduce((sum, v) => sum + Math.max(0, sign * (v ?? 0)), 0));
  const [low, high] = [-Math.max(0, ...side(-1)), Math.max(record.reward_max ?? 0, ...side(1))];
  return { parts, low, high: high > low ? high : low + 1, truth: truthScale(record) };
}

function truthScale(record) {
  const values = record.completions.map((c) => c.true_reward).filter((v) => v != null);
  if (!values.length) return null;
  const [low, high] = [Math.min(0, ...values), Math.max(0, record.true_reward_max ?? 0, ...values)];
  return { low, high: high > low ? high : low + 1 };
}

/**
 * Left end and width of a bar from zero to `value`, in percent of the scale.
 * @param {{low: number, high: number}} scale
 * @param {number} value
 * @returns {[number, number]}
 */
export function barOf({ low, high }, value) {
  const at = (v) => ((v - low) / (high - low)) * 100;
  return [at(Math.min(0, value)), (Math.abs(value) / (high - low)) * 100];
}
