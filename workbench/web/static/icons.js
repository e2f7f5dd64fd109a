// Small drawings in the current colour. Emoji come out as boxes where their font is missing.
import { s } from './dom.js';

const stroke = { fill: 'none', stroke: 'currentColor', 'stroke-width': 1.4, 'stroke-linejoin': 'round' };
const solid = { fill: 'currentColor' };

const SHAPES = {
  play: [12, 12, [['M2 1v10l9-5z', solid]]],
  pause: [12, 12, [['M2 1h3v10H2zM7 1h3v10H7z', solid]]],
  step: [13, 12, [['M1 1v10l8-5zM11.5 1v10', stroke]]],
  stop: [12, 12, [['M2 2h8v8H2z', stroke]]],
  restart: [13, 13, [['M2.2 4.2A5 5 0 1 1 1.5 7.5M2 1v3.5h3.5', stroke]]],
  tape: [13, 12, [['M1.5 2.5h10v7h-10zM4.5 6h.01M8.5 6h.01', { ...stroke, 'stroke-linecap': 'round' }]]],
  moon: [
    15,
    15,
    [
      ['M7.5 2a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11', stroke],
      ['M7.5 2a5.5 5.5 0 0 1 0 11z', solid],
    ],
  ],
  help: [
    15,
    15,
    [
      [
        'M7.5 1.5a6 6 0 1 0 0 12a6 6 0 1 0 0-12M5.7 6a1.8 1.8 0 1 1 2.6 1.6c-.5.3-.8.6-.8 1.2M7.5 10.7v.4',
        { ...stroke, 'stroke-width': 1.3, 'stroke-linecap': 'round' },
      ],
    ],
  ],
  yes: [11, 11, [['M1.5 6l3 3 5-7', { ...stroke, 'stroke-width': 1.6 }]]],
  no: [11, 11, [['M2 2l7 7M9 2l-7 7', stroke]]],
  loop: [12, 12, [['M10 4.5A4.3 4.3 0 1 0 10.3 7M10.3 1.5v3.2H7.2', { ...stroke, 'stroke-width': 1.2 }]]],
  cut: [10, 11, [['M0.5 5.5h5.5M3.8 3.2l2.3 2.3-2.3 2.3M9 1.5v8', { ...stroke, 'stroke-width': 1.2 }]]],
  arrow: [11, 9, [['M0 4.5h9M6 1.5l3 3-3 3', { ...stroke, 'stroke-width': 1.2 }]]],
  left: [8, 12, [['M6 2L2 6l4 4', stroke]]],
  right: [8, 12, [['M2 2l4 4-4 4', stroke]]],
  down: [9, 8, [['M1.5 2.5l3 3 3-3', stroke]]],
  close: [11, 11, [['M2 2l7 7M9 2l-7 7', stroke]]],
};

/** @param {keyof typeof SHAPES} name  @returns {SVGElement} */
export function icon(name) {
  const [width, height, paths] = SHAPES[name];
  const drawn = paths.map(([d, style]) => s('path', { d, ...style }));
  return s('svg', { width, height, viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true', class: 'icon' }, ...drawn);
}

/** Four bars up and down about a line: advantages. @returns {SVGElement} */
export function brand() {
  const bar = (x, y, height, fill) => s('rect', { x, y, width: 3.4, height, fill });
  return s(
    'svg',
    { width: 20, height: 20, viewBox: '0 0 20 20', 'aria-hidden': 'true' },
    s('path', { d: 'M1 10.5h18', stroke: 'var(--ink3)' }),
    bar(2, 3, 7, 'var(--up)'),
    bar(6.4, 11, 5, 'var(--dn)'),
    bar(10.8, 6, 4, 'var(--up)'),
    bar(15.2, 11, 6.5, 'var(--dn)'),
  );
}
