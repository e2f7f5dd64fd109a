import assert from 'node:assert/strict';
import { test } from 'node:test';
import { breakLines, planLeft } from '../../../workbench/web/static/plan.js';

const small = { height: 312, rowBase: 24, lineHeight: 60 };

test('eight completions and two lines of chips fit without paging', () => {
  assert.deepEqual(planLeft({ ...small, rows: 8, lines: 2 }), { row: 24, perPage: 8, pages: 1, lines: 2, fit: 2 });
});

test('larger groups page evenly and keep two lines of chips', () => {
  for (const rows of [9, 16, 33, 64]) {
    const plan = planLeft({ ...small, rows, lines: 9 });
    assert.ok(plan.row >= 20 && plan.pages * plan.perPage >= rows);
    assert.ok(plan.row * plan.perPage + plan.lines * small.lineHeight <= small.height);
    assert.ok(plan.lines >= 2);
  }
});

test('a small group leaves the room to the tokens', () => {
  const plan = planLeft({ ...small, rows: 2, lines: 9 });
  assert.equal(plan.pages, 1);
  assert.equal(plan.lines, 4);
});

test('a tiny window still shows something', () => {
  const plan = planLeft({ height: 60, rowBase: 24, lineHeight: 60, rows: 8, lines: 2 });
  assert.ok(plan.perPage >= 1 && plan.lines >= 1);
});

const chips = (texts, width = 10) => texts.map((text) => ({ text, width }));

test('lines break after spaces and tags, and before a token that starts with one', () => {
  assert.deepEqual(breakLines(chips(['a', 'b', ' ', 'c', 'd']), 40), [
    [0, 3],
    [3, 5],
  ]);
  assert.deepEqual(breakLines(chips(['a', '</think>', 'c', 'd']), 35), [
    [0, 2],
    [2, 4],
  ]);
  assert.deepEqual(breakLines(chips(['We', ' need', 'ed', ' it']), 30), [
    [0, 3],
    [3, 4],
  ]);
});

test('a word wider than the line is broken anywhere; every chip is on one line', () => {
  const lines = breakLines(chips([...'abcdefghij']), 35);
  assert.deepEqual(lines, [
    [0, 3],
    [3, 6],
    [6, 9],
    [9, 10],
  ]);
  assert.deepEqual(breakLines([], 100), []);
});
