import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

// As much of a document as a formula needs: a node is the text of its children.
class Text {
  textContent = '';
  setAttribute() {}
  append(...children) {
    this.textContent += children.map((c) => c.textContent ?? c).join('');
  }
}
globalThis.requestAnimationFrame = () => 0;
globalThis.document = { createElement: () => new Text() };

const root = '../../../workbench/web/static/';
const { derive } = await import(`${root}derived.js`);
const { setLanguage, setTable } = await import(`${root}i18n.js`);
const { formula } = await import(`${root}views/cardformula.js`);
setTable('en', JSON.parse(readFileSync(new URL(`${root}locales/en.json`, import.meta.url), 'utf8')));
setLanguage('en');

function written(ratio, advantage, knobs = {}) {
  const now = Math.log(ratio) - 1;
  const completion = { length: 1, advantage, old: [-1], logps: [[now]], clipped: ['0'], outside: ['0'], entropy: [0] };
  const record = { knobs, method: 'grpo', bug: null, completions: [completion] };
  const derived = derive(record, 0);
  const at = { record, row: 0, token: 0, k: 0, derived, completion, arrays: derived.tokens[0] };
  return formula({ ...at, advantage, ratio, now, old: -1 }).textContent;
}

test('the objective is written with min(r, δ) where δ holds the ratio, and with r where it does not', () => {
  const knobs = { epsilon: 0.2, delta: 1.6 };
  assert.match(written(1.84, -2.47, knobs), /min\(r, δ\) · A = 1\.600 × \(−2\.470\) = −3\.952/);
  assert.match(written(1.5, -2.47, knobs), /unclippedr · A = 1\.500 × \(−2\.470\) = −3\.705/);
});

test('a product is that of the factors shown, also of a rare token with a huge advantage', () => {
  assert.match(written(5.2156e-5, 875000), /r · A = 5\.216e−5 × 8\.75e5 = 45\.636/);
  assert.match(written(0.00141, 2), /r · A = 0\.00141 × 2\.000 = 0\.00282/);
});

test("the exponent of a completion's ratio is its tokens' mean", () => {
  assert.match(written(1.5, 1, { importance_sampling_level: 'sequence' }), /r = emean log ratio = 1\.500/);
  assert.match(written(1.5, 1), /r = e−0\.595 \+ 1\.000 = 1\.500/);
});
