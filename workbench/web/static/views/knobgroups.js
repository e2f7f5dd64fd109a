// Many knobs in groups that follow the path of the data. What has no effect now is folded away in its group.
import { h, setAttr, setText } from '../dom.js';
import { t } from '../i18n.js';
import { icon } from '../icons.js';
import { knobSpec, knobText, symbol, unusedWhy } from '../knobwords.js';
import { proposed } from '../select.js';
import { knobField } from './knobfield.js';

// Which groups are open is remembered while the page lives.
const opened = new Set(['advantage', 'loss']);

/**
 * Sections for these knobs, in the order in which the server lists them.
 * @param {string[]} names  @returns {{node: HTMLElement, refresh: () => void, settle: () => void}[]}
 */
export function knobGroups(names) {
  const groups = new Map();
  for (const name of names) {
    const { group } = knobSpec(name);
    groups.set(group, [...(groups.get(group) ?? []), name]);
  }
  return [...groups].map(([group, members]) => section(group, members));
}

function section(group, names) {
  const fields = names.map((name) => knobField(name, true));
  const used = h('div', { class: 'fields' });
  const idle = fold();
  const summary = h('span', { class: 'summary' });
  const toggle = h(
    'button',
    { class: 'group-toggle', type: 'button', on: { click: () => open(!opened.has(group)) } },
    icon('right'),
    h('b', { text: t(`knob.group.${group}`) }),
    summary,
  );
  const body = h('div', { class: 'group-body' }, used, idle.node);
  const node = h('section', { class: 'knob-group', 'data-group': group }, toggle, body);
  const open = (wanted) => {
    opened[wanted ? 'add' : 'delete'](group);
    setAttr(toggle, 'aria-expanded', wanted);
    body.hidden = !wanted;
  };
  open(opened.has(group));
  return {
    node,
    settle: () => fields.forEach((f) => f.settle()),
    refresh() {
      fields.forEach((f) => f.refresh());
      const [without, alive] = split(fields, (f) => unusedWhy(f.name, proposed()) != null);
      arrange(used, alive);
      idle.hold(without);
      setText(summary, alive.map((f) => `${symbol(f.name)} ${knobText(f.name, proposed()[f.name])}`).join(' · '));
    },
  };
}

// The knobs that change nothing now, behind a line that counts them.
function fold() {
  const box = h('div', { class: 'fields' });
  const line = h('button', { class: 'idle-toggle', type: 'button' });
  const node = h('div', { class: 'idle' }, line, box);
  const open = (wanted) => {
    setAttr(line, 'aria-expanded', wanted);
    box.hidden = !wanted;
  };
  line.addEventListener('click', () => open(box.hidden));
  open(false);
  return {
    node,
    hold(fields) {
      arrange(box, fields);
      node.hidden = !fields.length;
      setText(line, t('knob.idle', { n: fields.length }));
    },
  };
}

const split = (items, test) => [items.filter(test), items.filter((item) => !test(item))];

// A field that stays is not moved: it may have the focus.
function arrange(box, fields) {
  const nodes = fields.map((f) => f.node);
  if (nodes.length === box.children.length && nodes.every((node, i) => node === box.children[i])) return;
  const focused = document.activeElement;
  box.replaceChildren(...nodes);
  if (box.contains(focused)) focused.focus({ preventScroll: true });
}
