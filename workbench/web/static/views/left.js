// The left column: the group, the tokens of one completion, the lower slot. It shares out its own height.
import { h, pixelsOf, setStyle, sizeOf } from '../dom.js';
import { planLeft } from '../plan.js';
import { selectedCompletion } from '../select.js';
import { state, watch } from '../store.js';
import { drawGroup, mountGroup } from './group.js';
import { mountLower } from './lower.js';
import { drawTokens, lineMetrics, linesNeeded, mountTokens } from './tokens.js';

/** @param {HTMLElement} root */
export function mountLeft(root) {
  const column = h('div', { class: 'column left' });
  root.append(column);
  const group = mountGroup(column);
  const tokens = mountTokens(column);
  const lower = mountLower(column);
  const fixed = () => {
    const around = pixelsOf(column, 'paddingTop') + pixelsOf(column, 'paddingBottom');
    return around + group.fixedHeight() + tokens.fixedHeight() + sizeOf(lower).outer;
  };
  const draw = () => {
    if (!sizeOf(column).width) return;
    const { width } = sizeOf(column.querySelector('.lines'));
    const plan = planLeft({
      height: sizeOf(column).height - fixed(),
      rows: state.record?.completions.length ?? state.knobs.num_generations ?? 8,
      lines: selectedCompletion() ? linesNeeded(width) : 2,
      rowBase: window.innerWidth < 1500 ? 24 : window.innerHeight > 960 ? 34 : 31,
      lineHeight: lineMetrics().height,
    });
    setStyle(column, '--row', `${plan.row}px`);
    drawGroup(group, plan);
    drawTokens(tokens, plan, width);
  };
  watch(
    [
      'record',
      'recordError',
      'row',
      'k',
      'measure',
      'pin',
      'lang',
      'theme',
      'tokenLine',
      'rows',
      'step',
      'group',
      'view',
      'spec',
      'status',
    ],
    draw,
  );
  new ResizeObserver(draw).observe(column);
  document.fonts.addEventListener?.('loadingdone', draw);
}
