import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSteps, lastStep } from '../../../workbench/web/static/select.js';
import { state } from '../../../workbench/web/static/store.js';

test('a run of one step has one step, and an axis all the same', () => {
  Object.assign(state, { numSteps: 1, rows: [] });
  assert.deepEqual([allSteps(), lastStep()], [1, 2]);
  Object.assign(state, { numSteps: 40 });
  assert.deepEqual([allSteps(), lastStep()], [40, 40]);
  Object.assign(state, { rows: [{ step: 50 }] });
  assert.deepEqual([allSteps(), lastStep()], [50, 50], 'a run that went on beyond its plan');
});
