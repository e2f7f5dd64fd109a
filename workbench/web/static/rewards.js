// The reward over the steps as numbers: its mean and parts, or a learned and a true reward.
import { pick, t } from './i18n.js';
import { known } from './format.js';
import { curve, metric } from './select.js';
import { state } from './store.js';

const SCALES_APART = 4;

/**
 * @typedef {{label: string, values: (number|null)[], heights: (number|null)[], curve: import('./select.js').Curve,
 *   height: (value: number|null) => number|null, of: (row: object) => number|null,
 *   is: 'main'|'learned'|'part'|'uncounted'}} RewardLine
 * `height` says where a value is drawn, and `heights` where those of the curve are; `of` reads the value of a row.
 */

/** Is the policy trained against a learned reward, beside which the true one is known? @returns {boolean} */
export const isLearned = () => state.rows.length > 0 && 'true_reward' in state.rows.at(-1).metrics;

/** Name of a reward function in the page's language, where we have one. @param {string} name  @returns {string} */
export function rewardName(name) {
  const names = state.spec?.rewards ?? {};
  return Object.hasOwn(names, name) ? pick(names[name]) : name.replace(/_/g, ' ');
}

/**
 * The lines of the reward, the thick one first; `own` says that each has a scale of its own.
 * @returns {{lines: RewardLine[], own: boolean}}
 */
export function rewardLines() {
  if (isLearned()) return learnedLines();
  const main = lineOf(t('curves.mean'), 'main', 'reward');
  const parts = partNames().map(({ name, counts, key }) =>
    counts
      ? { ...lineOf(rewardName(name), 'part', `reward_parts/${name}`), of: (row) => row?.reward_parts?.[name] ?? null }
      : lineOf(t('curves.uncounted', { name: rewardName(name) }), 'uncounted', key),
  );
  return { lines: parts.length > 1 ? [main, ...parts] : [main], own: false };
}

function learnedLines() {
  const lines = [lineOf(t('curves.true'), 'main', 'true_reward'), lineOf(t('curves.learned'), 'learned', 'reward')];
  const own = scalesApart(lines.map((line) => line.values));
  return { lines: own ? lines.map(onOwnScale) : lines, own };
}

function lineOf(label, is, key) {
  const made = curve(key);
  const { values } = made;
  return { label, is, curve: made, values, heights: values, height: (v) => v, of: (row) => metric(row, key) };
}

function onOwnScale(line) {
  const height = unitOf(line.values);
  return { ...line, height, heights: line.values.map(height) };
}

// What each reward function adds to the mean: weighted, so that the parts sum up to it. One that weighs nothing is
// shown as it is: it is there to be watched.
function partNames() {
  const row = state.rows.at(-1);
  return Object.keys(row?.metrics ?? {})
    .map((key) => /^rewards\/(.+)\/mean$/.exec(key)?.[1])
    .filter(Boolean)
    .map((name) => ({ name, counts: name in (row.reward_parts ?? {}), key: `rewards/${name}/mean` }));
}

/**
 * Do the sizes of two rewards differ by more than a factor of 4?
 * @param {(number|null)[][]} lists
 * @returns {boolean}
 */
export function scalesApart(lists) {
  const sizes = lists.map((values) => values.reduce((most, v) => (known(v) ? Math.max(most, Math.abs(v)) : most), 0));
  return Math.min(...sizes) > 0 && Math.max(...sizes) > SCALES_APART * Math.min(...sizes);
}

/**
 * Values between 0, the lowest, and 1, the highest; gaps stay.
 * @param {(number|null)[]} values
 * @returns {(number|null)[]}
 */
export const toUnit = (values) => values.map(unitOf(values));

function unitOf(values) {
  const there = values.filter(known);
  const low = there.reduce((a, b) => Math.min(a, b), Infinity);
  const width = there.reduce((a, b) => Math.max(a, b), -Infinity) - low || 1;
  return (v) => (known(v) ? (v - low) / width : null);
}
