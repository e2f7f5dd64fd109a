// The heat strip of one completion: a token is as wide in every row, so that length can be seen.
import { measureValue } from '../derived.js';
import { context, sizeOf } from '../dom.js';
import { colours, stripColour } from '../theme.js';

const HEIGHT = 14;
const LOW = [HEIGHT - 4, 4]; // top and height of a token that is left out: it is there, but weighs nothing

/**
 * Index of the token under the pointer, or −1.
 * @param {HTMLCanvasElement} canvas
 * @param {PointerEvent} event
 * @param {number} longest
 * @returns {number}
 */
export function tokenAt(canvas, event, longest) {
  if (event.clientX == null) return -1;
  const box = canvas.getBoundingClientRect();
  return Math.floor(((event.clientX - box.left) / box.width) * longest);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{arrays: import('../derived.js').TokenArrays, steps: {end: number, reward: number}[], range: number,
 *   longest: number, pin: number|null, measure: string}} data
 */
export function drawStrip(canvas, data) {
  const { width } = sizeOf(canvas);
  const g = context(canvas, width, HEIGHT);
  if (!g) return;
  const unit = width / data.longest;
  if (unit >= 2) drawCells(g, data, unit);
  else drawColumns(g, data, unit);
  for (const step of data.steps) drawStepEnd(g, step.end * unit, step.reward > 0);
  if (data.pin != null) drawPin(g, data.pin * unit, Math.max(unit, 4));
}

function drawCells(g, { arrays, range, measure }, unit) {
  const ink = colours().ink;
  const ratio = window.devicePixelRatio || 1;
  const snap = (x) => Math.round(x * ratio) / ratio;
  for (let t = 0; t < arrays.log.length; t += 1) {
    const [a, b] = [snap(t * unit), snap((t + 1) * unit)];
    g.fillStyle = stripColour(measure, measureValue(measure, arrays, t), range);
    const [top, height] = arrays.masked[t] ? LOW : [0, HEIGHT];
    g.fillRect(a, top, b - a - (unit > 3 ? 0.5 : 0), height);
    if (arrays.dead[t]) cross(g, (a + b) / 2, Math.min(2.2, unit / 2), ink);
    else if (arrays.out[t]) dot(g, (a + b) / 2, ink);
  }
}

// Tokens narrower than two pixels: each pixel column shows its strongest token.
function drawColumns(g, { arrays, range, measure }, unit) {
  const columns = Math.ceil(arrays.log.length * unit);
  for (let x = 0; x < columns; x += 1) {
    const [first, end] = [
      Math.floor(x / unit),
      Math.min(arrays.log.length, Math.max(Math.floor(x / unit) + 1, Math.floor((x + 1) / unit))),
    ];
    let strongest = NaN;
    let [dead, masked] = [false, true];
    for (let t = first; t < end; t += 1) {
      const v = measureValue(measure, arrays, t);
      if (!(Math.abs(v) <= Math.abs(strongest))) strongest = v;
      dead ||= arrays.dead[t] === 1;
      masked &&= arrays.masked[t] === 1;
    }
    g.fillStyle = stripColour(measure, strongest, range);
    g.fillRect(x, masked ? LOW[0] : 0, 1, masked ? LOW[1] : HEIGHT);
    if (dead) {
      g.fillStyle = colours().ink;
      g.fillRect(x, HEIGHT / 2 - 1.5, 1, 3);
    }
  }
}

function cross(g, x, size, ink) {
  const y = HEIGHT / 2;
  g.strokeStyle = ink;
  g.lineWidth = 1.3;
  g.beginPath();
  g.moveTo(x - size, y - size);
  g.lineTo(x + size, y + size);
  g.moveTo(x + size, y - size);
  g.lineTo(x - size, y + size);
  g.stroke();
}

function dot(g, x, ink) {
  g.fillStyle = ink;
  g.fillRect(x - 1.25, HEIGHT - 3.2, 2, 2);
}

// Where a step ends: a line through the strip, or half a line for a step without a reward.
function drawStepEnd(g, x, isRight) {
  g.fillStyle = colours().ink;
  g.fillRect(Math.max(0, x - 1), isRight ? -1 : HEIGHT / 2, 1.25, HEIGHT);
}

function drawPin(g, x, width) {
  g.strokeStyle = colours().ink;
  g.lineWidth = 1.6;
  g.strokeRect(x - 0.3, 0.8, width, HEIGHT - 1.6);
}
