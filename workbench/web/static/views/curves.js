// Reward and KL over the steps of the run, with a numbered mark where a knob changed.
import { h, redraw, s, setAttr, sizeOf } from '../dom.js';
import { amount, fixed } from '../format.js';
import { t } from '../i18n.js';
import { knobLine } from '../knobwords.js';
import { rewardLines } from '../rewards.js';
import { countSteps, firstStep, lastStep, marks, metric, rowAt } from '../select.js';
import { linear } from '../scale.js';
import { state, watch } from '../store.js';
import { cursor, knobMarks, regimes, rounds, stepAxis } from './curvemarks.js';
import { klPanel } from './klpanel.js';
import { rewardPanel } from './rewardpanel.js';
import { stepHover } from './stephover.js';

/** @param {HTMLElement} box */
export function mountCurves(box) {
  const svg = s('svg', { role: 'img' });
  const hair = h('i', { class: 'hair' });
  box.append(svg, hair);
  hair.hidden = true;
  let axes = null;
  const draw = () => {
    const { width, height } = sizeOf(box);
    if (!width || !height) return;
    axes = layout(width, height);
    setAttr(svg, 'width', width);
    setAttr(svg, 'height', height);
    redraw(svg, [
      ...regimes(axes),
      ...rounds(axes),
      ...rewardPanel(axes),
      ...klPanel(axes),
      ...knobMarks(axes),
      ...cursor(axes),
      ...axes.front,
      ...stepAxis(axes),
    ]);
    setAttr(svg, 'aria-label', t('curves.label', { n: countSteps() }));
  };
  stepHover(box, hair, () => axes, hoverTip);
  watch(['rows', 'step', 'events', 'numSteps', 'lang', 'theme', 'view', 'record', 'status'], draw);
  new ResizeObserver(draw).observe(box);
}

function layout(width, height) {
  const big = width > 580;
  const font = big ? 12.5 : 11;
  const [left, margin, top, axis, gap] = [big ? 38 : 34, big ? 112 : 96, 24, 20, big ? 34 : 30];
  const room = height - top - axis - gap;
  const klHeight = Math.round(room * 0.27);
  const rewardBottom = height - axis - gap - klHeight;
  // Labels stand right of the newest step. Near the end of a run the axis gives way to them, a little a step.
  const done = ((state.rows.at(-1)?.step ?? firstStep()) - firstStep()) / (lastStep() - firstStep());
  const right = Math.min(width - 4, left + (width - margin - left) / Math.max(done, 0.1));
  return {
    width,
    height,
    font,
    big,
    left,
    right,
    top,
    rewardBottom,
    klTop: height - axis - klHeight,
    bottom: height - axis,
    x: linear(firstStep(), lastStep(), left, right),
    front: [], // what is written beside the panels: what is long lies over the cursor
  };
}

function hoverTip(step) {
  const row = rowAt(step);
  const near = marks().find((m) => m.step === step);
  const { lines, own } = rewardLines();
  return {
    title: t('run.step_n', { n: step }),
    rows: [
      ...lines.map((each) => [each.label, amount(each.of(row))]),
      ...(own ? [] : [[t('curves.band'), `${amount(row?.reward_low)}–${amount(row?.reward_high)}`]]),
      [t('curves.kl'), fixed(metric(row, 'kl'), 3)],
      ...(near ? near.events.map((e) => [t('curves.knob', { n: near.number }), knobLine(e)]) : []),
    ],
  };
}
