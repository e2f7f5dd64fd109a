// Gradio's loading screen leaves a stopwatch behind that asks for every frame as long as the page is open, though
// nobody sees it: 60 frames a second, a tenth of a core. Imported before Gradio starts, this lets it tick once a
// second, and stand still while the page is hidden.
const TICK = 1000;
const STOPWATCH = /^\(\)\s*=>\s*\{\w+\(\w+,\s*\(performance\.now\(\)\s*-\s*\w+\(\w+\)\)\s*\/\s*1e3\)/;

const nextFrame = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (draw) =>
  isStopwatch(draw) ? window.setTimeout(() => tick(draw), TICK) : nextFrame(draw);

/** Let the stopwatch go on, once the page is seen. @param {Function} draw */
function tick(draw) {
  if (document.hidden) document.addEventListener('visibilitychange', () => tick(draw), { once: true });
  else draw(performance.now());
}

/** Is this the frame callback of the stopwatch? @param {Function} draw  @returns {boolean} */
function isStopwatch(draw) {
  return STOPWATCH.test(Function.prototype.toString.call(draw));
}
