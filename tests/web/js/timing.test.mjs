import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.requestAnimationFrame = () => 0;
globalThis.document = { hidden: true, addEventListener() {}, dispatchEvent() {} };

const { partsOf, pathState } = await import('../../../workbench/web/static/views/timing.js');

test('each stage has its share of the step, and where there is a limit, how many times it', () => {
  const parts = partsOf({ timings: { sample: 0.75, record: 0.25 }, limits: { sample: 0.25 } });
  assert.deepEqual(parts, [
    { name: 'sample', seconds: 0.75, share: 0.75, limit: 0.25, factor: 3 },
    { name: 'record', seconds: 0.25, share: 0.25, limit: null, factor: null },
  ]);
  assert.deepEqual(partsOf(undefined), []);
});

test('a fast path that is not in use was switched off or does not fit', () => {
  const timing = { fast_paths: ['merged_rollout'], plain_paths: ['lean_model'] };
  assert.equal(pathState(timing, 'merged_rollout'), 'on');
  assert.equal(pathState(timing, 'lean_model'), 'off');
  assert.equal(pathState(timing, 'cuda_graphs'), 'unfit');
  assert.equal(pathState({ fast_paths: [], plain_paths: ['all'] }, 'cuda_graphs'), 'off');
});
