// The marks of the picture of the loss, on one canvas: they slide when the inner update changes, and only then.
import { context } from '../dom.js';
import { fixed } from '../format.js';
import { colours, still } from '../theme.js';

const SLIDE = 240;
const ease = (p) => 1 - (1 - p) ** 3;

/** @param {HTMLCanvasElement} canvas  @returns {{draw: (scene: object) => void}} */
export function mountMarks(canvas) {
  let shown = null;
  let frame = 0;
  return {
    draw(scene) {
      cancelAnimationFrame(frame);
      const from = slides(shown, scene) ? positions(shown.list) : null;
      shown = scene;
      if (!from) return paint(canvas, scene, null, 1);
      const start = performance.now();
      const step = (now) => {
        const p = Math.min(1, (now - start) / SLIDE);
        paint(canvas, scene, from, ease(p));
        if (p < 1) frame = requestAnimationFrame(step);
      };
      step(start);
    },
  };
}

const same = (a, b) =>
  a.record === b.record && a.geometry.width === b.geometry.width && a.geometry.height === b.geometry.height;
const moved = (a, b) =>
  a.list.length === b.list.length && a.list.length < 2000 && a.list.some((m, i) => m.log !== b.list[i].log);
const slides = (before, after) => before != null && !still() && same(before, after) && moved(before, after);
const positions = (list) => list.map(({ x, y }) => ({ x, y }));

function paint(canvas, scene, from, p) {
  const { geometry, list, selected, pin } = scene;
  canvas.style.width = `${geometry.width}px`;
  canvas.style.height = `${geometry.height}px`;
  const g = context(canvas, geometry.width, geometry.height);
  if (!g) return;
  const at = (i) =>
    from ? { x: from[i].x + (list[i].x - from[i].x) * p, y: from[i].y + (list[i].y - from[i].y) * p } : list[i];
  const order = ['masked', 'live', 'out', 'dead'];
  // Live discs first, so that the marks that carry news lie on top.
  for (const kind of order)
    list.forEach((mark, i) => mark.kind === kind && DRAW[kind](g, at(i), mark, geometry, mark.row === selected));
  list.forEach((mark, i) => mark.off && edge(g, at(i), mark, geometry));
  const byRow = geometry.picture?.byCompletion;
  const pinned = pin == null ? -1 : list.findIndex((m) => m.row === selected && (byRow || m.token === pin));
  if (pinned >= 0) drawPin(g, at(pinned), list[pinned], geometry);
}

const tone = (mark) => (mark.sign > 0 ? colours().up : colours().dn);

const DRAW = {
  masked(g, { x, y }, mark, { big }) {
    g.strokeStyle = colours().ink3;
    g.lineWidth = 1;
    g.beginPath();
    g.arc(x, y, big ? 3 : 2.6, 0, 7);
    g.stroke();
  },
  live(g, { x, y }, mark, { big, picture }, selected) {
    // Where a mark is a whole completion there are few, and each counts.
    g.globalAlpha = picture?.byCompletion ? 0.7 : selected ? 0.55 : 0.22;
    g.fillStyle = tone(mark);
    g.beginPath();
    g.arc(x, y, big ? 3.4 : 2.9, 0, 7);
    g.fill();
    g.globalAlpha = 1;
  },
  out(g, { x, y }, mark, { big }) {
    const size = big ? 5 : 4.3;
    const way = mark.sign;
    g.beginPath();
    g.moveTo(x - way * size * 0.8, y - size);
    g.lineTo(x + way * size, y);
    g.lineTo(x - way * size * 0.8, y + size);
    g.closePath();
    g.fillStyle = colours().sheet;
    g.strokeStyle = tone(mark);
    g.lineWidth = 1.6;
    g.lineJoin = 'round';
    g.fill();
    g.stroke();
  },
  dead(g, { x, y }, mark, { big }) {
    const size = big ? 4 : 3.4;
    g.strokeStyle = colours().ink;
    g.lineWidth = 1.5;
    g.beginPath();
    g.moveTo(x - size, y - size);
    g.lineTo(x + size, y + size);
    g.moveTo(x + size, y - size);
    g.lineTo(x - size, y + size);
    g.stroke();
  },
};

// Beyond the axis: a chevron at the edge points to where the token really is.
function edge(g, { x, y }, mark) {
  const way = mark.off;
  g.strokeStyle = colours().ink;
  g.lineWidth = 1.5;
  g.beginPath();
  g.moveTo(x - way * 9, y - 4);
  g.lineTo(x - way * 5.5, y);
  g.lineTo(x - way * 9, y + 4);
  g.stroke();
}

function drawPin(g, { x, y }, mark, geometry) {
  const { ink, sheet } = colours();
  g.strokeStyle = ink;
  g.lineWidth = 1.6;
  g.beginPath();
  g.arc(x, y, 8, 0, 7);
  g.stroke();
  g.lineWidth = 1;
  g.beginPath();
  g.moveTo(x, y + 8);
  g.lineTo(x, geometry.histTop + geometry.hist);
  g.stroke();
  const text = `${geometry.symbol} ${fixed(Math.exp(mark.log), geometry.to - geometry.from < 0.1 ? 4 : 2)}`;
  g.font = `600 ${geometry.font + 0.5}px Inter, system-ui, sans-serif`;
  // Beside the ring: below it are the marks that are stacked, and the axis.
  const panel = geometry.panels[mark.sign > 0 ? 0 : 1];
  const fits = x + 12 + g.measureText(text).width < panel.left + geometry.panelWidth;
  g.textAlign = fits ? 'left' : 'right';
  const at = [x + (fits ? 12 : -12), y + 4];
  g.lineWidth = 5;
  g.lineJoin = 'round';
  g.strokeStyle = sheet;
  g.strokeText(text, ...at);
  g.fillStyle = ink;
  g.fillText(text, ...at);
}
