// How the left column shares its height: the rows of the group first, then lines of token chips.

const ROW_MIN = 20;

/**
 * Row height and pages of the group, and how many lines of chips are shown at once.
 * @param {{height: number, rows: number, lines: number, rowBase: number, lineHeight: number}} want
 *   height left for rows and chip lines together; rows = G; lines = chip lines the completion needs
 * @returns {{row: number, perPage: number, pages: number, lines: number, fit: number}} fit: lines there is room for
 */
export function planLeft({ height, rows, lines, rowBase, lineHeight }) {
  // Two lines of chips are kept whatever G is; the group pages rather than push them out.
  const kept = Math.max(1, Math.min(2, lines)) * lineHeight;
  const room = Math.max(height - kept, 4 * ROW_MIN);
  const most = Math.max(1, Math.min(Math.floor(room / ROW_MIN), Math.max(8, Math.floor(room / rowBase))));
  const pages = Math.ceil(rows / most);
  const perPage = Math.max(1, Math.ceil(rows / pages));
  // A long completion is worth lower rows only where that buys a whole line.
  const loose = Math.min(rowBase, Math.floor(room / perPage));
  const fit = (row) => Math.max(1, Math.floor((height - row * perPage) / lineHeight));
  const row = lines > fit(loose) && fit(ROW_MIN) > fit(loose) ? ROW_MIN : Math.max(ROW_MIN, loose);
  return { row, perPage, pages, lines: Math.min(Math.max(1, lines), fit(row)), fit: fit(row) };
}

/**
 * Break token chips into lines: after a space, a line end or a tag, or before a token that starts with a space.
 * @param {{text: string, width: number}[]} chips  @param {number} width
 * @returns {[number, number][]} ranges [first, end) of chips, one a line
 */
export function breakLines(chips, width) {
  const lines = [];
  let start = 0;
  let used = 0;
  for (const [first, end] of words(chips)) {
    const size = sum(chips, first, end);
    if (used > 0 && used + size > width) {
      lines.push([start, first]);
      [start, used] = [first, 0];
    }
    // A word wider than the line is broken anywhere.
    for (let i = first; i < end; i += 1) {
      if (used > 0 && used + chips[i].width > width) {
        lines.push([start, i]);
        [start, used] = [i, 0];
      }
      used += chips[i].width;
    }
  }
  if (chips.length > start) lines.push([start, chips.length]);
  return lines;
}

const endsWord = (text) => /\s$/.test(text) || (text.length > 2 && text.startsWith('<') && text.endsWith('>'));

function words(chips) {
  const result = [];
  let start = 0;
  chips.forEach((chip, i) => {
    if (i > start && /^\s./.test(chip.text)) {
      result.push([start, i]);
      start = i;
    }
    if (endsWord(chip.text)) {
      result.push([start, i + 1]);
      start = i + 1;
    }
  });
  if (start < chips.length) result.push([start, chips.length]);
  return result;
}

const sum = (chips, first, end) => chips.slice(first, end).reduce((total, c) => total + c.width, 0);
