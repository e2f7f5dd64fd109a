// What every plot over steps does under the pointer: a hair line, a tip, a click that goes to the step.
import { goToStep } from '../actions.js';
import { firstStep, lastStep, newestStep } from '../select.js';
import { linear } from '../scale.js';
import { state } from '../store.js';
import { tip } from '../tooltip.js';

/**
 * A hair line, a tip and a click on any plot over steps.
 * @param {HTMLElement} box
 * @param {HTMLElement} hair
 * @param {() => {x: Function, left: number, right: number, top?: number, bottom?: number}|null} axes
 * @param {(step: number) => import('../tooltip.js').Tip|null} describe
 */
export function stepHover(box, hair, axes, describe) {
  const stepOf = (event) => {
    const a = axes();
    if (!a || event.clientX == null || !state.rows.length) return null;
    const x = event.clientX - box.getBoundingClientRect().left;
    if (x < a.left - 6 || x > a.right + 6) return null;
    const step = Math.round(linear(a.left, a.right, firstStep(), lastStep())(x));
    return step >= firstStep() && step <= newestStep() ? step : null;
  };
  tip(box, (event) => {
    const step = stepOf(event);
    hair.hidden = step == null;
    if (step == null) return null;
    const a = axes();
    hair.style.transform = `translateX(${a.x(step)}px)`;
    hair.style.top = `${a.top ?? 0}px`;
    hair.style.height = `${(a.bottom ?? box.clientHeight) - (a.top ?? 0)}px`;
    return describe(step);
  });
  box.addEventListener('pointerleave', () => (hair.hidden = true));
  box.addEventListener('click', (event) => {
    const step = stepOf(event);
    if (step != null) goToStep(step);
  });
}
