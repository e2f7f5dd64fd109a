// Where in the run we look: drag, click or arrow keys.
import { goToStep, moveStep } from '../actions.js';
import { label, line, redraw, s, setAttr, sizeOf } from '../dom.js';
import { t } from '../i18n.js';
import { knobLine } from '../knobwords.js';
import { firstStep, lastStep, marks, newestStep, viewedStep } from '../select.js';
import { linear } from '../scale.js';
import { state, watch } from '../store.js';
import { tip } from '../tooltip.js';

const PAD = 8;
const Y = 17;
const KEYS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };

/** @param {HTMLElement} rail */
export function mountScrubber(rail) {
  const svg = s('svg', { height: 34, width: '100%', role: 'slider', tabindex: 0, class: 'scrubber' });
  rail.prepend(svg);
  tip(svg, (e) => hint(svg, e));
  const toStep = (e) => {
    const box = svg.getBoundingClientRect();
    return linear(PAD, box.width - PAD, firstStep(), lastStep())(e.clientX - box.left);
  };
  svg.addEventListener('pointerdown', (e) => {
    svg.setPointerCapture(e.pointerId);
    goToStep(toStep(e));
  });
  svg.addEventListener('pointermove', (e) => svg.hasPointerCapture(e.pointerId) && goToStep(toStep(e)));
  svg.addEventListener('keydown', (e) => {
    const by = KEYS[e.key] ?? { Home: -Infinity, End: Infinity }[e.key];
    if (by == null) return;
    e.preventDefault();
    e.stopPropagation();
    if (Number.isFinite(by)) moveStep(by * (e.shiftKey ? 10 : 1));
    else goToStep(by > 0 ? newestStep() : firstStep());
  });
  const draw = () => drawRail(svg);
  watch(['rows', 'step', 'events', 'numSteps', 'lang', 'view'], draw);
  new ResizeObserver(draw).observe(rail);
}

function hint(svg, e) {
  if (e.clientX == null || !state.rows.length) return null;
  const box = svg.getBoundingClientRect();
  const step = Math.round(linear(PAD, box.width - PAD, firstStep(), lastStep())(e.clientX - box.left));
  if (step < firstStep() || step > lastStep()) return null;
  const near = marks().filter((m) => Math.abs(m.step - step) * ((box.width - 16) / lastStep()) < 6);
  return {
    title: t('run.step_n', { n: step }),
    rows: near.flatMap((m) => m.events.map((e2) => [`${m.number}`, knobLine(e2)])),
    text: step > newestStep() ? t('run.ahead') : '',
  };
}

function drawRail(svg) {
  const { width } = sizeOf(svg);
  if (!width) return;
  const x = linear(firstStep(), lastStep(), PAD, width - PAD);
  const [seen, newest] = [viewedStep() || firstStep(), newestStep() || firstStep()];
  const parts = [
    line(PAD, Y, width - PAD, Y, { stroke: 'var(--line2)', 'stroke-width': 2 }),
    line(PAD, Y, x(newest), Y, { stroke: 'var(--ink3)', 'stroke-width': 2 }),
    line(PAD, Y, x(seen), Y, { stroke: 'var(--ink)', 'stroke-width': 2 }),
  ];
  let last = -Infinity;
  for (const mark of marks()) {
    const at = x(mark.step);
    parts.push(line(at, Y - 8, at, Y, { stroke: 'var(--ink)' }));
    if (at - last < 13) continue;
    parts.push(
      label(at, 7, mark.number, { 'text-anchor': 'middle', 'font-size': 10, 'font-weight': 650, fill: 'var(--ink)' }),
    );
    last = at;
  }
  if (state.source === 'live' && newest !== seen)
    parts.push(s('circle', { cx: x(newest), cy: Y, r: 3.5, fill: 'var(--ink)' }));
  parts.push(
    s('circle', {
      cx: x(seen),
      cy: Y,
      r: 7,
      fill: 'var(--sheet)',
      stroke: 'var(--ink)',
      'stroke-width': 2,
      class: 'thumb',
    }),
  );
  redraw(svg, parts);
  setAttr(svg, 'aria-label', t('run.where'));
  setAttr(svg, 'aria-valuemin', firstStep());
  setAttr(svg, 'aria-valuemax', newest);
  setAttr(svg, 'aria-valuenow', seen);
}
