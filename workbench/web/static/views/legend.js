// What the colours and marks of the chips mean, with numbers.
import { h } from '../dom.js';
import { fixed } from '../format.js';
import { t } from '../i18n.js';
import { state } from '../store.js';
import { colours, diverging, hue, mix } from '../theme.js';
import { tip } from '../tooltip.js';

/** @param {HTMLElement} node  @param {import('../math.js').Derived} derived  @param {boolean} scored  is there a reference? */
export function drawLegend(node, derived, scored) {
  const range = derived.range[state.measure];
  const key = [state.lang, state.theme, state.measure, range, derived.range.kl, scored].join('|');
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  const [low, high] = ends(range);
  const item = (name, swatch) =>
    tip(h('span', { class: 'legend-item' }, h('i', { class: `swatch ${swatch}` }), t(`legend.${name}`)), () => ({
      title: t(`legend.${name}`),
      text: t(`legend.${name}.help`),
    }));
  const ramp = h('i', { class: 'ramp', style: { background: gradient() } });
  const lane = tip(
    h(
      'span',
      { class: 'legend-item' },
      h('i', { class: 'swatch lane-key' }),
      scored ? t('legend.kl', { max: fixed(derived.range.kl) }) : t('legend.no_kl'),
    ),
    () => ({ title: t('measure.kl'), text: t(scored ? 'legend.kl.help' : 'legend.no_kl.help') }),
  );
  node.replaceChildren(
    ...[
      h('span', { class: 'legend-item' }, low, ramp, high),
      h('span', { class: 'spring' }),
      lane,
      state.measure === 'ratio' ? item('band', 'band-key') : null,
      item('dead', 'dead-key'),
      item('out', 'out-key'),
    ].filter(Boolean),
  );
}

function ends(range) {
  if (state.measure === 'ratio')
    return [t('legend.less', { r: fixed(Math.exp(-range)) }), t('legend.more', { r: fixed(Math.exp(range)) })];
  if (state.measure === 'advantage') return [fixed(-range, 1), `+${fixed(range, 1)}`];
  return ['0', fixed(range, state.measure === 'kl' ? 2 : 1)];
}

function gradient() {
  const c = colours();
  const full = (value) => mix(c.chip, c[hue(state.measure, value)], c.tint);
  return diverging(state.measure)
    ? `linear-gradient(to right, ${full(-1)}, ${c.chip}, ${full(1)})`
    : `linear-gradient(to right, ${c.chip}, ${full(1)})`;
}
