// One completion of the group: its result, rewards, advantage, length and strip, and what hovering says of each.
import { chooseRow, pinToken } from '../actions.js';
import { h, resize, setAttr, setStyle, setText } from '../dom.js';
import { compact, fixed, known, signed } from '../format.js';
import { rewardName, t } from '../i18n.js';
import { icon } from '../icons.js';
import { pinnedToken, selectedRow, updateIndex, updatesOf } from '../select.js';
import { state } from '../store.js';
import { tokenTip } from '../tips.js';
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

/** Fill a row with a completion; nothing is touched that has not changed. @param {HTMLElement} node  @param {object} data */
export function drawRow(node, data) {
  node.data = data;
  const { record, index, scale, derived, longest } = data;
  const c = record.completions[index];
  const selected = index === selectedRow();
  const [id, answer, reward, advantage, length, strip] = node.children;
  setAttr(node, 'aria-selected', selected);
  setAttr(node, 'data-dead', record.dead ? '' : null);
  setText(id, String(index + 1));
  drawAnswer(answer, c);
  drawReward(reward, { record, parts: scale.parts[index], scale, total: c.reward });
  drawAdvantage(advantage, c.advantage, derived.range.advantage);
  setText(length, String(c.length));
  const pin = selected ? pinnedToken() : null;
  drawStrip(strip, {
    arrays: derived.tokens[index],
    advantage: c.advantage,
    range: derived.range[state.measure],
    longest,
    pin,
    measure: state.measure,
  });
  setAttr(
    node,
    'aria-label',
    t('group.row', { i: index + 1, reward: fixed(c.reward), advantage: signed(c.advantage), n: c.length }),
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

function drawReward(node, { record, parts, scale, total }) {
  const [track, number] = node.children;
  const x = (v) => ((v - scale.low) / (scale.high - scale.low)) * 100;
  const bars = resize(track, parts.length + 1, () => h('i'));
  let [up, down] = [0, 0];
  parts.forEach((v, i) => {
    const bar = bars[i + 1];
    const at = v >= 0 ? up : down + v;
    if (v >= 0) up += v ?? 0;
    else down += v;
    bar.className = `part-${record.dead ? 2 : Math.min(i, 3)}`;
    bar.hidden = !v;
    setStyle(bar, 'left', `${x(at)}%`);
    setStyle(bar, 'width', `max(0px, calc(${(Math.abs(v ?? 0) / (scale.high - scale.low)) * 100}% - 1px))`);
  });
  bars[0].className = 'mean';
  bars[0].hidden = !known(record.mean);
  setStyle(bars[0], 'left', `${x(record.mean)}%`);
  setText(number, total == null ? t('none') : fixed(total));
}

function drawAdvantage(node, advantage, range) {
  const [axis, number] = node.children;
  const bar = axis.firstChild;
  const size = known(advantage) ? Math.min(1, Math.abs(advantage) / range) * 50 : 0;
  const kind = ROW_KINDS[Math.sign(advantage ?? 0) === 1 ? 1 : Math.sign(advantage ?? 0) === -1 ? 2 : 0];
  setAttr(node, 'data-way', kind || null);
  setStyle(bar, 'width', `${size}%`);
  setText(number, advantage == null ? t('none') : signed(advantage));
}

function answerTip({ record, index }) {
  const c = record.completions[index];
  const reasons = record.reward_names
    .filter((name) => c.reasons?.[name])
    .map((name) => [rewardName(name), c.reasons[name]]);
  const title = c.truncated
    ? t('group.cut.help')
    : c.correct == null
      ? t('group.result')
      : t(c.correct ? 'group.right' : 'group.wrong');
  return { title, text: c.answer ?? '', rows: reasons };
}

function rewardTip({ record, index, scale }) {
  const c = record.completions[index];
  const rows = record.reward_names.map((name, i) => {
    const weight = record.reward_weights?.[i] ?? 1;
    const value =
      c.rewards[name] == null
        ? t('none.reward')
        : weight === 1
          ? fixed(c.rewards[name])
          : `${fixed(c.rewards[name])} × ${compact(weight)} = ${fixed(scale.parts[index][i])}`;
    return [rewardName(name), value];
  });
  return {
    title: `${t('group.reward')} ${fixed(c.reward)}`,
    rows: [...rows, [t('group.mean_line'), fixed(record.mean)]],
  };
}

function advantageTip({ record, index }) {
  const c = record.completions[index];
  const way = !c.advantage ? 'none' : c.advantage > 0 ? 'up' : 'down';
  const formula =
    c.advantage == null
      ? null
      : record.knobs.scale_rewards === 'none'
        ? `A = ${fixed(c.reward)} − ${fixed(record.mean)}`
        : record.knobs.scale_rewards === 'batch'
          ? `A = (${fixed(c.reward)} − ${fixed(record.mean)}) / std(batch)`
          : `A = (${fixed(c.reward)} − ${fixed(record.mean)}) / ${fixed(record.std)}`;
  return { title: `${t('group.advantage')} ${signed(c.advantage)}`, text: t(`group.way.${way}`), formula };
}

function lengthTip({ record, index }) {
  const c = record.completions[index];
  return {
    title: t('group.tokens', { n: c.length }),
    text: c.truncated ? t('group.cut.help') : '',
    rows: [
      [t('group.weight'), compact(c.weight)],
      [t('group.weight_total'), compact(c.weight * c.length)],
    ],
  };
}

function stripTip({ record, index, derived, longest }, strip, event) {
  const token = tokenAt(strip, event, longest);
  const c = record.completions[index];
  return token >= 0 && token < c.length
    ? tokenTip(c, derived.tokens[index], token, updateIndex(updatesOf(record)))
    : null;
}
