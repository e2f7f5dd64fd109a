// What the colours and marks of the chips mean, with numbers.
import { h } from '../dom.js';
import { compact, small, telling } from '../format.js';
import { t } from '../i18n.js';
import { ratioDigits } from '../math.js';
import { selectedCompletion, shownMeasure } from '../select.js';
import { state } from '../store.js';
import { colours, diverging, hue, mix } from '../theme.js';
import { tip } from '../tooltip.js';

/** @param {HTMLElement} node  @param {object} record  @param {import('../derived.js').Derived} derived */
export function drawLegend(node, record, derived) {
  const measure = shownMeasure();
  const range = derived.range[measure];
  const { form } = derived.picture;
  const scored = !!selectedCompletion()?.ref;
  const signs = measure !== 'value' || derived.tokens.some((tokens) => tokens.value?.some((v) => v < 0));
  const key = [
    state.lang,
    state.theme,
    measure,
    range,
    derived.range.kl,
    derived.kl,
    scored,
    form,
    derived.masked > 0,
    signs,
  ];
  if (node.dataset.key === key.join('|')) return;
  node.dataset.key = key.join('|');
  const [low, high] = ends(measure, range, signs);
  const scale = h('span', { class: 'legend-item' }, low, ramp(measure, signs), high);
  const marks = [
    measure === 'ratio' && form === 'clip' && 'band',
    form === 'clip' && 'dead',
    form === 'clip' ? 'out' : form === 'cap' && 'capped',
    derived.masked > 0 && 'masked',
  ];
  node.toggleAttribute('data-many', marks.filter(Boolean).length > 3);
  node.replaceChildren(
    measure === 'coefficient'
      ? tip(scale, () => ({ title: t('measure.coefficient'), text: t('measure.coefficient.help') }))
      : scale,
    h('span', { class: 'spring' }),
    lane(scored, derived),
    ...marks.filter(Boolean).map(markItem),
  );
}

const SWATCH = { band: 'band-key', dead: 'dead-key', out: 'out-key', capped: 'out-key', masked: 'masked-key' };

const markItem = (name) =>
  tip(h('span', { class: 'legend-item' }, h('i', { class: `swatch ${SWATCH[name]}` }), t(`legend.${name}`)), () => ({
    title: t(`legend.${name}`),
    text: t(`legend.${name}.help`),
  }));

function lane(scored, derived) {
  const words = scored
    ? t('legend.kl', { max: telling(derived.range.kl), form: t(`kl.${derived.kl}`) })
    : t('legend.no_kl');
  return tip(h('span', { class: 'legend-item' }, h('i', { class: 'swatch lane-key' }), words), () => ({
    title: t('measure.kl'),
    text: t(scored ? 'legend.kl.help' : 'legend.no_kl.help', { form: t(`kl.${derived.kl}`) }),
  }));
}

function ends(measure, range, signs) {
  if (measure === 'ratio')
    return ['less', 'more'].map((way, i) =>
      t(`legend.${way}`, { r: telling(Math.exp(i ? range : -range), ratioDigits(state.record?.knobs ?? {})) }),
    );
  if (measure === 'advantage') return [compact(-range), `+${compact(range)}`];
  if (measure === 'coefficient')
    return [t('legend.down', { c: small(-range) }), t('legend.up', { c: `+${small(range)}` })];
  if (measure === 'value') return [signs ? telling(-range) : '0', t('legend.value', { v: telling(range) })];
  return ['0', telling(range, measure === 'kl' ? 2 : 1)];
}

function ramp(measure, signs) {
  const c = colours();
  const full = (value) => mix(c.chip, c[hue(measure, value)], c.tint);
  const background =
    diverging(measure) && signs
      ? `linear-gradient(to right, ${full(-1)}, ${c.chip}, ${full(1)})`
      : `linear-gradient(to right, ${c.chip}, ${full(1)})`;
  return h('i', { class: 'ramp', style: { background } });
}
