// Process supervision: the bracket under the tokens of a written step, with its reward, and what hovering it says.
import { laterRewards, stepAt } from '../derived.js';
import { h, setAttr } from '../dom.js';
import { compact, known, signed } from '../format.js';
import { t, translated } from '../i18n.js';
import { icon } from '../icons.js';
import { tip } from '../tooltip.js';

const ROOM = { full: 92, short: 34, mark: 12 }; // pixels that a label needs

/** The part of the bracket under one chip. @returns {HTMLElement} */
export function makeStep() {
  const node = h('span', { class: 'step-part' }, h('i'), h('b'));
  return tip(node, () => node.about && stepTip(node.about));
}

/**
 * @param {HTMLElement} node  @param {object} completion  @param {{first: number, end: number}} chip
 * @param {number} room  pixels of the step on this line, up to the end of the chip
 */
export function drawStep(node, completion, chip, room) {
  const found = stepAt(completion, chip.first);
  node.about = found && { ...found, completion, token: chip.first };
  setAttr(node, 'data-way', found && wayOf(found.step.normalised));
  setAttr(node, 'data-first', found && chip.first <= found.first ? '' : null);
  const ends = found != null && chip.end >= found.step.end;
  setAttr(node, 'data-last', ends ? '' : null);
  const label = node.lastChild;
  const key = ends ? `${found.step.reward}/${found.step.normalised}/${room}` : '';
  if (label.dataset.key === key) return;
  label.dataset.key = key;
  label.replaceChildren(...(ends ? labelParts(found.step, room) : []));
}

// A reward of 1 is written 1.
const rewardText = (value) => (known(value) && Number.isInteger(value) ? compact(value).split('.')[0] : compact(value));
const wayOf = (value) => (value > 0 ? 'up' : value < 0 ? 'down' : 'none');

// Right or wrong is told by the mark, better or worse than the group's steps by the sign.
function labelParts({ reward, normalised }, room) {
  if (room < ROOM.mark) return [];
  const mark = icon(reward > 0 ? 'yes' : 'no');
  if (room < ROOM.short) return [mark];
  const number = h('span', { text: rewardText(reward) });
  if (room < ROOM.full) return [mark, number];
  return [mark, number, h('span', { class: 'step-push', text: `→ ${signed(normalised)}` })];
}

function stepTip({ index, step, completion, token }) {
  return {
    title: t('step.title', { i: index + 1, n: completion.steps.length }),
    text: `${translated(step.reason)}\n${t('step.help')}`,
    rows: [
      [t('step.reward'), `${rewardText(step.reward)} ${t(step.reward > 0 ? 'step.right' : 'step.wrong')}`],
      [t('step.normalised'), signed(step.normalised)],
      [t('step.advantage'), sumText(completion, token)],
    ],
  };
}

/**
 * A token's advantage as the sum it is: "+0.54 + 0.30 = +0.84".
 * @param {object} completion
 * @param {number} token
 * @returns {string}
 */
export function sumText(completion, token) {
  const parts = laterRewards(completion, token);
  const total = signed(parts.reduce((a, b) => a + b, 0));
  if (parts.length < 2) return total;
  if (parts.length > 4) return `Σ ${parts.length} = ${total}`;
  const [first, ...rest] = parts;
  const terms = rest.map((v) => (v < 0 ? ` − ${signed(-v).replace('+', '')}` : ` + ${signed(v).replace('+', '')}`));
  return `${signed(first)}${terms.join('')} = ${total}`;
}
