import assert from "node:assert/strict";
import { test } from "node:test";

import { boxStyle, formatIndices, parseIndices, toggled } from "../../web/js/lib/face_indices.js";

const readable = [
  ["", 3, [0, 1, 2]],
  ["  ", 3, [0, 1, 2]],
  ["", 0, []],
  ["none", 3, []],
  ["  NoNe ", 3, []],
  ["1", 3, [1]],
  ["0,2,4-6", 7, [0, 2, 4, 5, 6]],
  [" 0 , 2 ,\t4 - 6 ", 7, [0, 2, 4, 5, 6]],
  ["4-6,2,0,5,5", 7, [0, 2, 4, 5, 6]],
  ["2-2", 3, [2]],
  ["007", 8, [7]],
  ["1,5-9999", 3, [1]],
  ["0-9999", 2, [0, 1]],
  ["9999", 3, []],
  ["All", 3, [0, 1, 2]],
  ["1-", 3, [1, 2]],
  ["-1", 3, [2]],
  ["-2 -", 3, [1, 2]],
  ["0, -1", 3, [0, 2]],
  ["-4", 3, []],
  ["-9-", 3, [0, 1, 2]],
  ["-1", 0, []],
  ["-0", 3, [0]],
];
for (const [text, count, expected] of readable) {
  test(`"${text}" of ${count} faces chooses [${expected}]`, () => {
    assert.deepEqual(parseIndices(text, count), { chosen: new Set(expected), error: null });
  });
}

const unreadable = [
  ["x", "x"],
  ["0, two", "two"],
  ["2-1", "2-1"],
  ["0, 2 - 1 ", "2 - 1"],
  ["10000", "10000"],
  ["0-10000", "0-10000"],
  ["- 1", "- 1"],
  ["--1", "--1"],
  ["-3-5", "-3-5"],
  ["-10000", "-10000"],
  ["all,1", "all"],
  ["1-2-3", "1-2-3"],
  ["1 2", "1 2"],
  ["1.5", "1.5"],
  ["+1", "+1"],
  ["٣", "٣"],
  ["0,", "0,"],
  [",", ","],
  ["-", "-"],
  ["none,1", "none"],
  ["no ne", "no ne"],
];
for (const [text, error] of unreadable) {
  test(`"${text}" cannot be read because of "${error}"`, () => {
    assert.deepEqual(parseIndices(text, 4), { chosen: new Set(), error });
  });
}

const canonical = [
  [[0, 1, 2], "0-2"],
  [[], "none"],
  [[1], "1"],
  [[1, 0], "0,1"],
  [[6, 4, 5, 2, 0], "0,2,4-6"],
  [[0, 1, 3, 4, 5, 7, 8], "0,1,3-5,7,8"],
  [[10, 9, 2], "2,9,10"],
  [[0, 7, 9999], "0,7,9999"],
  [[9997, 9998, 9999], "9997-"],
];
for (const [chosen, text] of canonical) {
  test(`[${chosen}] is written "${text}"`, () => {
    assert.equal(formatIndices(chosen), text);
  });
}

test("every choice among six faces survives writing and reading", () => {
  const count = 6;
  for (let bits = 0; bits < 1 << count; bits++) {
    const chosen = new Set([...Array(count).keys()].filter((index) => (bits >> index) & 1));
    assert.deepEqual(parseIndices(formatIndices(chosen), count), { chosen, error: null });
  }
});

const clicks = [
  ["", 1, 4, "0,2-"],
  ["0,2,3", 1, 4, "0-3"],
  ["2", 2, 4, "none"],
  ["none", 2, 4, "2"],
  ["none", 0, 1, "0"],
  ["2-1", 2, 4, "2"],
  [" 3 , 0 ", 1, 5, "0,1,3"],
  // Numbers that only other images of the batch have are kept, and the click adds no such number.
  ["0,1,4", 1, 2, "0,4"],
  ["0", 1, 2, "0,1"],
  ["0-1,7", 3, 5, "0,1,3,7"],
  ["9", 0, 5, "0,9"],
  ["1-9999", 1, 3, "2-"],
  ["0-9999", 1, 2, "0,2-"],
  ["1-", 0, 3, "0-"],
  ["all", 1, 4, "0,2-"],
  ["", 0, 1, "1-"],
  ["1-", 0, 1, "0-"],
  ["-1", 0, 4, "0,3"],
  ["-1,9", 3, 4, "9"],
];
for (const [text, index, count, expected] of clicks) {
  test(`"${text}" after a click on face ${index} of ${count} is "${expected}"`, () => {
    assert.equal(toggled(text, index, count), expected);
  });
}

const boxes = [
  [[0.25, 0.5, 0.75, 1], { left: "25%", top: "50%", width: "50%", height: "50%" }],
  [[-0.1, -0.02, 0.5, 1.3], { left: "0%", top: "0%", width: "50%", height: "100%" }],
  [[1 / 3, 0, 2 / 3, 0.1], { left: "33.33%", top: "0%", width: "33.33%", height: "10%" }],
];
for (const [box, style] of boxes) {
  test(`box [${box}] lies at ${Object.values(style)}`, () => {
    assert.deepEqual(boxStyle(box), style);
  });
}
