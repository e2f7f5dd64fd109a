// Where the time of the step on the screen went: one bar by stage, each stage's physical limit under it, fast paths.
import { h, setText } from '../dom.js';
import { count, duration, fixed, known, share } from '../format.js';
import { pick, t } from '../i18n.js';
import { emptyKey } from '../select.js';
import { state, watch } from '../store.js';
import { tip } from '../tooltip.js';

/** @typedef {{name: string, seconds: number, share: number, limit: number|null, factor: number|null}} Part */

/** @param {HTMLElement} root */
export function mountTiming(root) {
  const title = tip(h('h2', { class: 'h2' }), () => ({ title: t('timing.title'), text: t('timing.help') }));
  const note = tip(h('span', { class: 'note' }), totalTip);
  const items = h('div', { class: 'timing-items' });
  const bar = h('div', { class: 'timing-bar', role: 'img' });
  const paths = h('div', { class: 'timing-paths' });
  root.append(h('section', { class: 'timing' }, h('div', { class: 'head' }, title, note, items), bar, paths));
  watch(['record', 'recordError', 'lang', 'spec', 'view', 'status'], () => {
    if (state.view !== 'curves') return;
    setText(title, t('timing.title'));
    const parts = partsOf(state.record?.timing);
    const total = sum(parts);
    const { step, timing } = state.record ?? {};
    setText(note, parts.length ? t('timing.note', { step, time: duration(total), speed: speed(timing, total) }) : '');
    items.replaceChildren(...parts.map(item));
    bar.replaceChildren(...parts.map((part) => segment(part, total)));
    bar.setAttribute('aria-label', parts.map((part) => `${name(part)} ${share(part.share)}`).join(', '));
    paths.replaceChildren(...(parts.length ? pathsOf(timing) : [says(t(emptyKey('timing.none')))]));
  });
}

/**
 * The stages of a step in their order, each with its share of the step and how many times its limit it took.
 * @param {{timings: Object<string, number>, limits: Object<string, number>}|undefined} timing  @returns {Part[]}
 */
export function partsOf(timing) {
  const timings = Object.entries(timing?.timings ?? {});
  const total = timings.reduce((all, [, seconds]) => all + seconds, 0);
  return timings.map(([stage, seconds]) => {
    const limit = timing.limits[stage] ?? null;
    return { name: stage, seconds, share: seconds / total, limit, factor: limit ? seconds / limit : null };
  });
}

/**
 * Is a fast path in use in this step, and if not, why?
 * @param {{fast_paths: string[], plain_paths: string[]}} timing  @param {string} path  @returns {'on'|'off'|'unfit'}
 */
export function pathState({ fast_paths: used, plain_paths: off }, path) {
  if (used.includes(path)) return 'on';
  return off.includes('all') || off.includes(path) ? 'off' : 'unfit';
}

const sum = (parts) => parts.reduce((total, part) => total + part.seconds, 0);
const stageOf = (part) => state.spec?.stages.find((stage) => stage.name === part.name);
const name = (part) => pick(stageOf(part)?.title) || part.name.replace(/_/g, ' ');
const speed = (timing, total) => count(timing.tokens / total);
const factor = (part) => `${fixed(part.factor, part.factor < 10 ? 1 : 0)}×`;
// Most stages take less than a tenth of a second.
const brief = (seconds) => (seconds < 0.1 ? `${Math.round(1000 * seconds)} ms` : duration(seconds));
const precise = (seconds) => (seconds < 0.1 ? `${fixed(1000 * seconds, 1)} ms` : `${fixed(seconds, 3)} s`);
const says = (text) => h('p', { class: 'empty-says', text });

function item(part) {
  const limit = known(part.factor) ? t('timing.factor', { factor: factor(part) }) : '';
  const node = h(
    'span',
    { class: 'timing-item', tabindex: 0 },
    h('i', { class: 'dot', 'data-stage': part.name }),
    name(part),
    h('b', { text: brief(part.seconds) }),
    h('span', { class: 'timing-share', text: share(part.share) }),
    h('span', { class: 'timing-factor', text: limit }),
  );
  return tip(node, () => partTip(part));
}

function segment(part, total) {
  const limit = known(part.limit) && h('i', { class: 'timing-limit', style: { width: `${within(part)}%` } });
  const node = h(
    'span',
    { class: 'timing-part', 'data-stage': part.name, style: { 'flex-grow': part.seconds / total } },
    h('i', { class: 'timing-fill' }),
    limit || null,
  );
  return tip(node, () => partTip(part));
}

// A machine that was busy when it was measured may be overtaken: the limit then ends with its stage.
const within = (part) => Math.min(100, (100 * part.limit) / part.seconds);

function partTip(part) {
  const rows = [
    [t('timing.seconds'), precise(part.seconds)],
    [t('timing.share'), share(part.share)],
    known(part.limit) && [t('timing.limit'), precise(part.limit)],
    known(part.factor) && [t('timing.times'), factor(part)],
  ];
  return { title: name(part), text: pick(stageOf(part)?.meaning), rows: rows.filter(Boolean) };
}

function totalTip() {
  const parts = partsOf(state.record?.timing);
  if (!parts.length) return null;
  const { tokens } = state.record.timing;
  const rows = [
    [t('timing.seconds'), precise(sum(parts))],
    [t('timing.tokens'), count(tokens)],
  ];
  return { title: t('timing.total'), text: t('timing.total.help'), rows };
}

function pathsOf(timing) {
  // Recordings older than the limits say nothing of their fast paths either.
  if (!timing.fast_paths.length && !Object.keys(timing.limits).length) return [says(t('timing.old'))];
  const label = tip(h('span', { class: 'timing-label', text: t('timing.paths') }), () => ({
    title: t('timing.paths'),
    text: t('timing.paths.help'),
  }));
  return [label, ...(state.spec?.fast_paths ?? []).map((path) => pathMark(timing, path))];
}

function pathMark(timing, path) {
  const how = pathState(timing, path.name);
  const node = h(
    'span',
    { class: 'timing-path', tabindex: 0, 'data-path': path.name, 'data-state': how },
    h('i'),
    pick(path.title),
  );
  const why = { on: t('timing.on'), off: t('timing.off'), unfit: `${t('timing.unfit')} ${pick(path.needs)}` }[how];
  return tip(node, () => ({ title: pick(path.title), text: `${pick(path.meaning)}\n${why}` }));
}
