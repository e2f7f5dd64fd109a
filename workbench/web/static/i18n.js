// Words of the page. English is the fallback of every other language.
import { h } from './dom.js';

const LANGUAGES = ['en', 'zh'];
const tables = { en: {}, zh: {} };
let current = 'en';
let sentences = null; // [key, pattern] of what the server says in English

/** Load both tables once, so that switching needs no request. @returns {Promise<void>} */
export async function loadLocales() {
  const load = async (lang) => {
    const reply = await fetch(new URL(`./locales/${lang}.json`, import.meta.url));
    setTable(lang, await reply.json());
  };
  await Promise.all(LANGUAGES.map(load));
}

/** @param {string} lang  @param {Object<string, string>} table */
export function setTable(lang, table) {
  tables[lang] = table;
  sentences = null;
}

/** @param {string} lang */
export function setLanguage(lang) {
  current = LANGUAGES.includes(lang) ? lang : 'en';
}

/** The language of the browser, if we speak it. @param {string} tag  @returns {string} */
export const matchLanguage = (tag) => (/^zh\b/i.test(tag ?? '') ? 'zh' : 'en');

const template = (key, params) => {
  const one = params?.n === 1 ? `${key}_one` : null;
  return (one && tables[current][one]) ?? tables[current][key] ?? tables.en[key] ?? key;
};

/** Is there a text for this key? @param {string} key  @returns {boolean} */
export const has = (key) => key in tables[current] || key in tables.en;

/**
 * The text of a key with {name} placeholders filled in; `n: 1` prefers the key ending in `_one`.
 * @param {string} key  @param {Object<string, string|number>} [params]  @returns {string}
 */
export function t(key, params) {
  return template(key, params).replace(/\{(\w+)\}/g, (whole, name) => String(params?.[name] ?? whole));
}

/**
 * What the server says in English alone, in the page's language: why a bundled reward was given, why a command was
 * refused. The keys under "said." are the sentences that we have; others, those of somebody's own rewards too, stay.
 * @param {string} text  @returns {string}
 */
export function translated(text) {
  if (current === 'en' || !text) return text;
  sentences ??= Object.keys(tables.en)
    .filter((key) => key.startsWith('said.'))
    .map((key) => [key, patternOf(tables.en[key])]);
  for (const [key, pattern] of sentences) {
    const { groups } = pattern.exec(text) ?? {};
    if (groups)
      return t(key, Object.fromEntries(Object.entries(groups).map(([name, part]) => [name, translated(part)])));
  }
  return text;
}

// Named groups for the placeholders; the last is there for sentences without any.
function patternOf(words) {
  const parts = words
    .split(/\{(\w+)\}/)
    .map((part, i) => (i % 2 ? `(?<${part}>.*)` : part.replace(/[^\w\s]/g, '\\$&')));
  return new RegExp(`^${parts.join('')}(?<end>)$`, 's');
}

/**
 * Text that the server sends in both languages.
 * @param {{en: string, zh: string}|string|null|undefined} text
 * @returns {string}
 */
export function pick(text) {
  return text == null ? '' : typeof text === 'string' ? text : (text[current] ?? text.en ?? '');
}

/**
 * Like t, with **bold** parts; a placeholder may be a node (model text in its own type).
 * The template is split before it is filled, so a value can never become markup.
 * @param {string} key  @param {Object<string, string|number|Node>} [params]  @returns {Node[]}
 */
export function rich(key, params = {}) {
  return splitRich(template(key, params)).flatMap(({ bold, text }) => {
    const parts = text.split(/(\{\w+\})/).map((part) => {
      const name = /^\{(\w+)\}$/.exec(part)?.[1];
      const value = name && name in params ? params[name] : part;
      return typeof value === 'object' ? value : document.createTextNode(String(value));
    });
    return bold ? [h('b', {}, ...parts)] : parts;
  });
}

/** @param {string} text  @returns {{bold: boolean, text: string}[]} */
export function splitRich(text) {
  return text
    .split('**')
    .map((part, i) => ({ bold: i % 2 === 1, text: part }))
    .filter((p) => p.text);
}
