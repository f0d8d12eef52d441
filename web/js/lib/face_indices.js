// @ts-check
// Parses and edits the text of the `indices` widget; psfr_core/faces/selection.py defines the grammar.

const MAX_INDEX = 9999;
const ALL_FACES = "all";
const NO_FACE = "none";

/**
 * Returns the numbers of the faces that a text selects.
 * @param {string} text "" or "all" for all faces, "none", or numbers such as "0, 2, 4-6, 8-"; "-1" is the last face
 * @param {number} count number of faces
 * @param {number} limit upper limit of the numbers, exclusive; larger numbers in the text are ignored
 * @returns {{chosen: Set<number>, error: string | null}} error is the invalid part of the text, or null
 */
export function parseIndices(text, count, limit = count) {
  const trimmed = text.trim();
  if (isAll(text)) return { chosen: new Set(Array(count).keys()), error: null };
  const chosen = new Set();
  if (trimmed.toLowerCase() === NO_FACE) return { chosen, error: null };
  for (const part of trimmed.split(",")) {
    const range = parsePart(part);
    if (!range) return { chosen: new Set(), error: part.trim() || trimmed };
    const [first, last] = range.map((index) => (index < 0 ? count + index : index));
    for (let index = Math.max(first, 0); index <= last && index < limit; index++) chosen.add(index);
  }
  return { chosen, error: null };
}

/**
 * Returns the shortest text that selects exactly these numbers.
 * @param {Iterable<number>} chosen
 */
export function formatIndices(chosen) {
  const indices = [...chosen].sort((a, b) => a - b);
  if (indices.length === 0) return NO_FACE;
  /** @type {number[][]} */
  const runs = [];
  for (const index of indices) {
    const run = runs.at(-1);
    if (run?.at(-1) === index - 1) run.push(index);
    else runs.push([index]);
  }
  return runs.map(formatRun).join(",");
}

/**
 * Returns the text after a click on a face, which adds or removes its number. All other numbers are kept, including the
 * numbers of faces that only other images have. An empty text and "all" count as "0-", the faces of all images, and an
 * invalid text as "none". Numbers from the end become the numbers of the faces shown.
 * @param {string} text
 * @param {number} index number of the clicked face
 * @param {number} count number of faces in the image
 */
export function toggled(text, index, count) {
  const { chosen } = parseIndices(isAll(text) ? "0-" : text, count, MAX_INDEX + 1);
  if (!chosen.delete(index)) chosen.add(index);
  return formatIndices(chosen);
}

/**
 * Returns the position of a box, clipped to the image, as CSS lengths.
 * @param {number[]} box left, top, right and bottom as fractions of the image
 */
export function boxStyle(box) {
  const [left, top, right, bottom] = box.map((edge) => 100 * Math.min(Math.max(edge, 0), 1));
  return { left: percent(left), top: percent(top), width: percent(right - left), height: percent(bottom - top) };
}

/** Returns whether a text selects all faces. @param {string} text */
function isAll(text) {
  return ["", ALL_FACES].includes(text.trim().toLowerCase());
}

/** Returns the text for a run. @param {number[]} run consecutive numbers */
function formatRun(run) {
  if (run.length < 3) return run.join(",");
  return run.at(-1) === MAX_INDEX ? `${run[0]}-` : `${run[0]}-${run.at(-1)}`;
}

/**
 * Returns the first and last number of a part of the text, or null if the part is invalid.
 * @param {string} part
 * @returns {[number, number] | null} negative numbers count from the end
 */
function parsePart(part) {
  const match = /^\s*(-?[0-9]+)(?:\s*(-)\s*([0-9]+)?)?\s*$/.exec(part);
  if (!match) return null;
  const first = Number(match[1]);
  const end = first < 0 ? -1 : MAX_INDEX;
  const last = match[2] ? Number(match[3] ?? end) : first;
  const isOneSided = first < 0 === last < 0;
  return isOneSided && first <= last && Math.max(Math.abs(first), last) <= MAX_INDEX ? [first, last] : null;
}

/** Returns a CSS length. @param {number} value */
function percent(value) {
  return `${Number(value.toFixed(2))}%`;
}
