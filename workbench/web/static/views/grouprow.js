// One completion of the group: its result, rewards, advantage, length and strip, and what hovering says of each.
import { chooseRow, pinToken } from '../actions.js';
import { advantageFormula } from '../advantageformula.js';
import { isDead, pushOf, stepAt } from '../derived.js';
import { h, resize, setAttr, setStyle, setText } from '../dom.js';
import { amount, compact, known, signed, signedAmount, signedSmall } from '../format.js';
import { t, translated } from '../i18n.js';
import { icon } from '../icons.js';
import { baselineOf } from '../meaning.js';
import { rewardName } from '../rewards.js';
import { barOf, rewardParts } from '../rewardscale.js';
import { pinnedToken, selectedRow, shownMeasure, updateIndex, updatesOf } from '../select.js';
import { state } from '../store.js';
import { precise, tokenTip } from '../tips.js';
import { tip } from '../tooltip.js';
import { drawStrip, tokenAt } from './strip.js';

const ROW_KINDS = ['', 'up', 'down'];

/** An empty row. @returns {HTMLElement} */
export function makeRow() {
  const cell = (name, ...children) => h('span', { class: name }, ...children);
  const node = h(
    'div',
    { class: 'row', role: 'option' },
    cell('id'),
    cell('answer'),
    cell('reward', cell('track'), cell('number')),
    cell('advantage', cell('axis', h('i')), cell('number')),
    cell('length'),
    h('canvas', { class: 'strip' }),
  );
  node.addEventListener('click', (e) => onRowClick(node, e));
  const [, answer, reward, advantage, length, strip] = node.children;
  tip(answer, () => node.data && answerTip(node.data));
  tip(reward, () => node.data && rewardTip(node.data));
  tip(advantage, () => node.data && advantageTip(node.data));
  tip(length, () => node.data && lengthTip(node.data));
  tip(strip, (e) => node.data && stripTip(node.data, strip, e));
  return node;
}

function onRowClick(node, event) {
  const { index, record, longest } = node.data;
  const token = event.target.matches('canvas') ? tokenAt(event.target, event, longest) : -1;
  if (token >= 0 && token < record.completions[index].length) pinToken(index, token);
  else if (index !== selectedRow()) chooseRow(index);
}

/**
 * Fill a row with a completion; nothing is touched that has not changed.
 * @param {HTMLElement} node
 * @param {object} data
 */
export function drawRow(node, data) {
  node.data = data;
  const { record, index, scale, derived, longest } = data;
  const c = record.completions[index];
  const selected = index === selectedRow();
  const [id, answer, reward, advantage, length, strip] = node.children;
  setAttr(node, 'aria-selected', selected);
  setAttr(node, 'data-dead', isDead(record) ? '' : null);
  setAttr(node, 'data-masked', c.masked && derived.picture.form !== 'none' ? '' : null);
  setText(id, String(index + 1));
  drawAnswer(answer, c);
  drawReward(reward, { record, parts: scale.parts[index], scale, completion: c });
  const isNone = derived.picture.form === 'none';
  const push = pushOf(derived, c, index);
  drawAdvantage(
    advantage,
    push,
    isNone ? derived.range.push : derived.range.advantage,
    isNone ? signedSmall : signedAmount,
  );
  setText(length, String(c.length));
  const pin = selected ? pinnedToken() : null;
  drawStrip(strip, {
    arrays: derived.tokens[index],
    steps: c.steps ?? [],
    range: derived.range[shownMeasure()],
    longest,
    pin,
    measure: shownMeasure(),
  });
  setAttr(
    node,
    'aria-label',
    t('group.row', { i: index + 1, reward: amount(c.reward), advantage: signedAmount(push), n: c.length }),
  );
}

function drawAnswer(node, c) {
  const key = `${c.answer}/${c.correct}/${c.truncated}/${c.length}/${state.lang}`;
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  const mark = c.correct == null ? null : icon(c.correct ? 'yes' : 'no');
  if (c.truncated && c.answer == null) return node.replaceChildren(h('span', { class: 'muted', text: t('group.cut') }));
  const text = c.answer ?? (c.length ? '–' : t('group.empty'));
  node.replaceChildren(
    ...[h('span', { class: c.answer == null ? 'muted' : 'mono', text }), mark, c.truncated ? icon('cut') : null].filter(
      Boolean,
    ),
  );
}

// First the group's mean, zero and the true reward, then a bar a function.
const FIXTURES = ['mean', 'zero', 'truth'];

function drawReward(node, { record, parts, scale, completion }) {
  const [track, number] = node.children;
  const x = (v) => ((v - scale.low) / (scale.high - scale.low)) * 100;
  const bars = resize(track, parts.length + FIXTURES.length, () => h('i'));
  const [mean, zero, truth] = FIXTURES.map((name, i) => Object.assign(bars[i], { className: name }));
  let [up, down] = [0, 0];
  parts.forEach((v, i) => {
    const bar = bars[i + FIXTURES.length];
    const at = v >= 0 ? up : down + v;
    if (v >= 0) up += v ?? 0;
    else down += v;
    bar.className = `part-${isDead(record) ? 2 : Math.min(i, 3)}`;
    bar.hidden = !v;
    place(bar, x(at), (Math.abs(v ?? 0) / (scale.high - scale.low)) * 100);
  });
  mean.hidden = !known(record.mean);
  setStyle(mean, 'left', `${x(record.mean)}%`);
  zero.hidden = scale.low === 0;
  setStyle(zero, 'left', `${x(0)}%`);
  setAttr(track, 'data-truth', scale.truth ? '' : null);
  truth.hidden = !scale.truth || !completion.true_reward;
  if (!truth.hidden) place(truth, ...barOf(scale.truth, completion.true_reward));
  setText(number, completion.reward == null ? t('none') : rewardText(completion.reward));
}

function place(bar, left, width) {
  setStyle(bar, 'left', `${left}%`);
  setStyle(bar, 'width', `max(0px, calc(${width}% - 1px))`);
}

// Two decimals, or three digits where that is more than the column holds.
const rewardText = (value) => (Math.abs(value) < 10 || Math.abs(value) >= 1e4 ? amount(value) : compact(value));

function drawAdvantage(node, advantage, range, text) {
  const [axis, number] = node.children;
  const bar = axis.firstChild;
  const size = known(advantage) ? Math.min(1, Math.abs(advantage) / range) * 50 : 0;
  const kind = ROW_KINDS[Math.sign(advantage ?? 0) === 1 ? 1 : Math.sign(advantage ?? 0) === -1 ? 2 : 0];
  setAttr(node, 'data-way', kind || null);
  setStyle(bar, 'width', `${size}%`);
  setText(number, advantage == null ? t('none') : text(advantage));
}

function answerTip({ record, index }) {
  const c = record.completions[index];
  const reasons = record.reward_names
    .filter((name) => c.reasons?.[name])
    .map((name) => [rewardName(name), translated(c.reasons[name])]);
  const title = c.truncated
    ? t('group.cut.help')
    : c.correct == null
      ? t('group.result')
      : t(c.correct ? 'group.right' : 'group.wrong');
  return { title, text: c.answer ?? '', rows: reasons };
}

function rewardTip({ record, index }) {
  const c = record.completions[index];
  const counted = rewardParts(record).map(({ name }) => name);
  const rows = record.reward_names.map((name, i) => {
    const weight = record.reward_weights?.[i] ?? 1;
    const value = c.rewards[name];
    if (value == null) return [rewardName(name), t('none.reward')];
    if (!counted.includes(name)) return [rewardName(name), `${amount(value)} ${t('group.uncounted')}`];
    return [
      rewardName(name),
      weight === 1 ? amount(value) : `${amount(value)} × ${compact(weight)} = ${amount(value * weight)}`,
    ];
  });
  if (c.true_reward != null) rows.push([t('group.true'), amount(c.true_reward)]);
  return {
    title: `${t('group.reward')} ${amount(c.reward)}`,
    rows: [...rows, [t('group.mean_line'), amount(record.mean)]],
  };
}

function advantageTip({ record, index, derived }) {
  const c = record.completions[index];
  if (derived.picture.form === 'none')
    return {
      title: `${t('group.push')} ${signedSmall(pushOf(derived, c, index))}`,
      text: `${t('group.push_of')}${c.masked ? ` ${t('group.masked')}` : ''}`,
    };
  const way = !c.advantage ? 'none' : c.advantage > 0 ? 'up' : 'down';
  const words = t(c.advantages ? 'group.by_token' : isUnscored(c) ? 'group.way.unscored' : wayKey(record, way));
  const masked = c.masked ? ` ${t('group.masked')}` : '';
  const title = `${t(c.advantages ? 'group.mean_advantage' : 'group.advantage')} ${signedAmount(c.advantage)}`;
  return { title, text: `${words}${masked}`, formula: advantageFormula(record, c) };
}

// No reward applies to it: its advantage is 0 by decree, and it is equal to nothing.
const isUnscored = (c) => c.reward == null && !c.advantage;

/**
 * What an advantage does to its completion.
 * @param {object} record  @param {'up'|'down'|'none'} way  its sign  @returns {string} locale key
 */
export function wayKey(record, way) {
  if (record.bug === 'logps_without_gradient') return 'group.way.constant';
  if (record.bug === 'ratio_inverted' && way !== 'none') return `group.way.inverted.${way}`;
  return `group.way.${baselineOf(record)}.${way}`;
}

function lengthTip({ record, index }) {
  const c = record.completions[index];
  return {
    title: t('group.tokens', { n: c.length }),
    text: [c.truncated && t('group.cut.help'), c.masked && t('group.masked')].filter(Boolean).join(' '),
    rows: [
      [t('group.weight'), precise(c.weight)],
      [t('group.weight_total'), precise(c.weight * c.length)],
    ],
  };
}

function stripTip({ record, index, longest }, strip, event) {
  const token = tokenAt(strip, event, longest);
  const c = record.completions[index];
  if (token < 0 || token >= c.length) return null;
  const about = tokenTip(record, index, token, updateIndex(updatesOf(record)));
  const found = stepAt(c, token);
  if (!found) return about;
  const { reward, normalised } = found.step;
  const words = `${compact(reward)} ${t(reward > 0 ? 'step.right' : 'step.wrong')}, ${signed(normalised)}`;
  return { ...about, rows: [...about.rows, [t('step.title', { i: found.index + 1, n: c.steps.length }), words]] };
}
