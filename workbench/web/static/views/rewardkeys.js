// The names over the reward column: as many as fit in full, and how many more there are.
import { h, pixelsOf, sizeOf } from '../dom.js';
import { t } from '../i18n.js';
import { rewardName } from '../rewards.js';
import { tip } from '../tooltip.js';

const MOST = 3; // more reward functions are named in hovers
const [SWATCH, GAP] = [13, 8];
const ruler = document.createElement('canvas').getContext('2d');
let measured = { width: 0, room: 0 };

/**
 * How many of the reward functions can be named over their column, at least one.
 * @param {HTMLElement} columns  the grid of column heads  @param {string[]} names  @param {boolean} hasTruth
 * @returns {number}
 */
export function countNamed(columns, names, hasTruth) {
  ruler.font = `400 ${pixelsOf(columns, 'fontSize')}px Inter, sans-serif`;
  const wide = (text) => ruler.measureText(text).width;
  const keys = names.map((name) => GAP + SWATCH + wide(rewardName(name)));
  const room = roomOf(columns) - wide(t('group.reward')) - (hasTruth ? GAP + SWATCH + wide(t('group.true')) : 0);
  const used = (count) =>
    keys.slice(0, count).reduce((sum, key) => sum + key, count < names.length ? GAP + wide('+9') : 0);
  let count = Math.min(MOST, names.length);
  while (count > 1 && used(count) > room) count -= 1;
  return count;
}

/**
 * @param {string[]} names  @param {number} count  of those to name  @param {boolean} hasTruth
 * @returns {HTMLElement[]}
 */
export function rewardKeys(names, count, hasTruth) {
  const keys = names
    .slice(0, count)
    .map((name, i) =>
      h('span', { class: 'key' }, h('i', { class: `part-${Math.min(i, 3)}` }), h('span', { text: rewardName(name) })),
    );
  if (names.length > count) keys.push(moreKey(names, names.length - count));
  return hasTruth ? [...keys, truthKey()] : keys;
}

// The width of the reward column, which the style sheet decides.
function roomOf(columns) {
  const { width } = sizeOf(columns);
  if (width && width !== measured.width)
    measured = { width, room: parseFloat(getComputedStyle(columns).gridTemplateColumns.split(' ')[2]) };
  return measured.room || Infinity;
}

const moreKey = (names, count) =>
  tip(h('span', { class: 'key more', text: `+${count}` }), () => ({
    title: t('group.more_parts'),
    text: names.map(rewardName).join('\n'),
  }));

const truthKey = () =>
  tip(h('span', { class: 'key' }, h('i', { class: 'truth-key' }), t('group.true')), () => ({
    title: t('group.true'),
    text: t('group.true.help'),
  }));
