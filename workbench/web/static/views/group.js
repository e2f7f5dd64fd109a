// The group: one prompt, its G completions with reward by function, advantage, length and a strip of tokens.
import { chooseGroup, chooseRow, moveRow } from '../actions.js';
import { derive, hasSteps, isDead, measuresOf } from '../derived.js';
import { h, resize, setAttr, setChildren, setStyle, setText, sizeOf } from '../dom.js';
import { amount } from '../format.js';
import { t, translated } from '../i18n.js';
import { icon } from '../icons.js';
import { baselineOf, isZScore, measureHelp, moversOf, rewardsAreAll } from '../meaning.js';
import { endedBeforeAStep, groupOf, selectedRow, shownMeasure, updateIndex, updatesOf, viewedRow } from '../select.js';
import { state } from '../store.js';
import { tip } from '../tooltip.js';
import { drawRow, makeRow } from './grouprow.js';
import { countNamed, rewardKeys } from './rewardkeys.js';
import { rewardParts, rewardScale } from '../rewardscale.js';

/** @param {HTMLElement} column */
export function mountGroup(column) {
  const prompt = tip(
    h('span', { class: 'prompt' }),
    () => state.record && { title: t('group.prompt'), text: state.record.prompt },
  );
  const target = tip(
    h('span', { class: 'target' }),
    () => isCut(target) && { title: t('group.target.title'), text: target.lastChild.textContent },
  );
  const stats = tip(h('span', { class: 'note stats' }), () => ({
    title: t('group.stats.title'),
    text: t(state.record ? statsKey(state.record) : 'group.stats.line'),
  }));
  const picker = h('span', { class: 'picker', role: 'group' });
  const which = h('span', { class: 'note' });
  const head = h('div', { class: 'head' }, prompt, target, h('span', { class: 'spring' }), stats, picker, which);
  const columns = h('div', { class: 'group-head' });
  const rows = h('div', { class: 'rows', role: 'listbox', tabindex: 0, on: { keydown: onRowsKey } });
  const says = h('p', { class: 'dead-says' });
  const empty = h('p', { class: 'empty-says' });
  const pager = h('span', { class: 'pager' });
  const section = h('section', { class: 'group' }, head, columns, h('div', { class: 'rows-box' }, rows, says, empty));
  column.append(section);
  return {
    prompt,
    target,
    stats,
    picker,
    which,
    columns,
    rows,
    says,
    empty,
    pager,
    fixedHeight: () => sizeOf(head).outer + sizeOf(columns).outer,
  };
}

/** @param {ReturnType<typeof mountGroup>} view  @param {{row: number, perPage: number, pages: number}} plan */
export function drawGroup(view, plan) {
  const { record } = state;
  drawHead(view, record);
  drawPicker(view, viewedRow());
  drawColumns(view, record, plan);
  view.empty.hidden = !!record;
  const dead = !!record && isDead(record);
  view.says.hidden = !dead;
  if (!record) {
    setText(view.empty, emptyReason());
    setStyle(view.rows, 'min-height', `calc(var(--row) * ${plan.perPage})`);
    view.rows.replaceChildren();
    return;
  }
  if (dead) setText(view.says, t(deadWords(record), { n: record.completions.length }));
  const page = pageOf(plan);
  const from = page * plan.perPage;
  const shown = record.completions.slice(from, from + plan.perPage);
  setStyle(view.rows, 'min-height', `calc(var(--row) * ${plan.perPage})`);
  setAttr(view.rows, 'aria-label', t('group.rows', { n: record.completions.length }));
  const scale = rewardScale(record);
  const derived = derive(record, updateIndex(updatesOf(record)));
  const longest = Math.max(1, ...record.completions.map((c) => c.length));
  resize(view.rows, shown.length, makeRow).forEach((node, i) =>
    drawRow(node, { record, index: from + i, scale, derived, longest }),
  );
}

const statsKey = (record) =>
  baselineOf(record) === 'batch' ? 'group.stats.batch' : isZScore(record) ? 'group.stats.help' : 'group.stats.line';

// Without a reward for two of them nothing is equal either.
const deadWords = (record) => (record.std == null ? 'group.unscored' : `group.dead.${moversOf(record, true)}`);

const pageOf = (plan) => Math.min(plan.pages - 1, Math.floor(selectedRow() / plan.perPage));
let paging = { perPage: 8, pages: 1 };

/** Turn a page of completions. False when there is none that way. @param {number} by  @returns {boolean} */
export function movePage(by) {
  const page = Math.floor(selectedRow() / paging.perPage) + by;
  if (page < 0 || page >= paging.pages) return false;
  chooseRow(page * paging.perPage);
  return true;
}

function emptyReason() {
  if (state.recordError) return t('group.gone', { error: translated(state.recordError) });
  if (state.rows.length) return t('group.loading');
  if (endedBeforeAStep()) return t('group.ended');
  return t(state.source === 'live' ? 'group.first' : 'group.none');
}

function drawHead(view, record) {
  const prompt = record ? lastLine(record.prompt) : '';
  setText(view.prompt, prompt);
  view.prompt.classList.toggle('long', prompt.length > 20);
  const target = String(record?.target ?? '').trim();
  setChildren(view.target, target ? [`${t('group.target')} `, h('b', { text: target })] : []);
  view.target.classList.toggle('long', target.length > 20);
  setChildren(
    view.stats,
    record
      ? [h('i', { class: 'mean-mark' }), t('group.stats', { mean: amount(record.mean), std: amount(record.std) })]
      : [],
  );
}

const isCut = (node) => node.scrollWidth > node.clientWidth;

// A chat prompt is long and its question comes last; the hover shows all of it.
const lastLine = (text) => {
  const lines = text
    .trim()
    .split('\n')
    .map((part) => part.trim())
    .filter(Boolean);
  return lines.length > 1 ? `… ${lines.at(-1)}` : (lines[0] ?? '');
};

function drawPicker(view, row) {
  const groups = row?.groups ?? [];
  const chosen = state.record && state.record.step === row?.step ? state.record.group : row ? groupOf(row) : -1;
  const means = groups.map((g) => g.mean ?? 0);
  const [low, top] = [Math.min(0, ...means), state.record?.reward_max ?? Math.max(0, ...means)];
  const gap = groups.length > 12 ? 1 : 3;
  const hatches = rewardsAreAll(state.record ?? state);
  setStyle(view.picker, '--gap', `${gap}px`);
  setStyle(view.picker, '--cell', `${Math.max(3, Math.min(12, Math.floor(170 / Math.max(1, groups.length)) - gap))}px`);
  resize(view.picker, groups.length, (i) =>
    tip(h('button', { type: 'button', on: { click: () => chooseGroup(i) } }), () => groupTip(i)),
  ).forEach((cell, i) => {
    const fill = Math.max(0, Math.min(1, (means[i] - low) / (top - low || 1)));
    setStyle(cell, '--fill', `${Math.round(fill * 100)}%`);
    setAttr(cell, 'aria-pressed', i === chosen);
    setAttr(cell, 'data-dead', groups[i].dead && hatches ? '' : null);
    setAttr(cell, 'aria-label', t('group.of', { i: i + 1, n: groups.length }));
  });
  setText(view.which, groups.length ? t('group.of', { i: chosen + 1, n: groups.length }) : '');
}

function groupTip(i) {
  const g = viewedRow()?.groups[i];
  if (!g) return null;
  return {
    title: t('group.n', { i: i + 1 }),
    text: g.dead && rewardsAreAll(state.record ?? state) ? t('group.dead.help') : '',
    rows: [
      [t('unit.mean'), amount(g.mean)],
      [t('unit.std'), amount(g.std)],
    ],
  };
}

function drawColumns(view, record, plan) {
  paging = plan;
  const names = rewardParts(record).map(({ name }) => name);
  const hasTruth = !!record?.completions.some((c) => c.true_reward != null);
  const measure = shownMeasure();
  const named = countNamed(view.columns, names, hasTruth);
  const pushes = measuresOf(record).includes('advantage') ? 'advantage' : 'push';
  const key = [
    state.lang,
    measure,
    pushes,
    hasTruth,
    hasSteps(record),
    names.join(),
    named,
    plan.pages,
    plan.perPage,
    selectedRow(),
  ].join('|');
  if (view.columns.dataset.key === key) return;
  view.columns.dataset.key = key;
  const pager = plan.pages > 1 ? [pagerNode(plan, record)] : [];
  view.columns.replaceChildren(
    h('span', { text: '#' }),
    head('result'),
    h('span', { class: 'keys' }, head('reward'), ...rewardKeys(names, named, hasTruth)),
    head(pushes),
    head('length'),
    h(
      'span',
      { class: 'strip-head' },
      tip(h('span', { text: t('group.strip', { measure: t(`measure.${measure}.in`) }) }), () => ({
        title: t(`measure.${measure}`),
        text: [t(measureHelp(state.record ?? state, measure)), hasSteps(record) && t('group.strip.steps')]
          .filter(Boolean)
          .join('\n'),
      })),
      ...pager,
    ),
  );
}

const head = (name) =>
  tip(h('span', { class: `col-${name}`, text: t(`group.${name}`) }), () => ({
    title: t(`group.${name}`),
    text: t(name === 'advantage' ? `group.advantage.help.${baselineOf(state.record ?? state)}` : `group.${name}.help`),
  }));

function pagerNode(plan, record) {
  const page = pageOf(plan);
  const [from, to] = [page * plan.perPage + 1, Math.min((page + 1) * plan.perPage, record?.completions.length ?? 0)];
  const button = (name, by) =>
    h(
      'button',
      {
        type: 'button',
        'aria-label': t(`pager.${name}`),
        disabled: page + by < 0 || page + by >= plan.pages,
        on: { click: () => movePage(by) },
      },
      icon(name),
    );
  return h(
    'span',
    { class: 'pager' },
    button('left', -1),
    t('pager.range', { from, to, n: record?.completions.length ?? 0 }),
    button('right', 1),
  );
}

function onRowsKey(event) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  moveRow(by);
}
