// Gradio's loading screen leaves a stopwatch behind that asks for every frame as long as the page is open, though
// nobody sees it: 60 frames a second, a twentieth of a core. This lets it tick once a second, and stand still while the
// page is hidden. Gradio keeps the function it finds when it is loaded, so this is a plain script and comes first.
{
  const TICK = 1000;
  const STOPWATCH = /^\(\)\s*=>\s*\{\w+\(\w+,\s*\(performance\.now\(\)\s*-\s*\w+\(\w+\)\)\s*\/\s*1e3\)/;

  const nextFrame = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (draw) =>
    isStopwatch(draw) ? window.setTimeout(() => tick(draw), TICK) : nextFrame(draw);

  // Let the stopwatch go on, once the page is seen.
  const tick = (draw) => {
    if (document.hidden) document.addEventListener('visibilitychange', () => tick(draw), { once: true });
    else draw(performance.now());
  };

  // Is this the frame callback of the stopwatch?
  const isStopwatch = (draw) => STOPWATCH.test(Function.prototype.toString.call(draw));
}
