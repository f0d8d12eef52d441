import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";

import { formatStrokes, paintStrokes, parseStrokes, thinnedPoints } from "../../web/js/lib/strokes.js";

// The library paints the same maps: tests/parsing/test_strokes.py reads this file too.
const CASES = JSON.parse(fs.readFileSync(path.join(import.meta.dirname, "..", "data", "strokes.json"), "utf8"));
const REGIONS = [
  ["background", "skin", "nose", "glasses", "left_eye", "right_eye", "left_brow", "right_brow", "left_ear", "right_ear"],
  ["mouth", "upper_lip", "lower_lip", "hair", "hat", "earring", "necklace", "neck", "cloth"],
].flat();

for (const { name, text, parsed, painted } of CASES) {
  test(`${name}: the browser paints what the library paints`, () => {
    const { faceCount, strokes } = parseStrokes(text);
    const labels = paintStrokes(Uint8Array.from(parsed.flat()), parsed.length, strokes, REGIONS);
    assert.deepEqual([...labels], painted.flat());
    assert.equal(formatStrokes(faceCount, strokes), text);
  });
}

test("no strokes give an empty text, and an empty text gives no strokes", () => {
  assert.equal(formatStrokes(3, []), "");
  assert.deepEqual(parseStrokes(" "), { faceCount: 0, strokes: [] });
});

for (const text of ["hello", "faces 1; 0 hair 60", "faces 1; 0 hair 60 1,1;", "faces x; 0 hair 60 1,1"]) {
  test(`"${text}" cannot be read`, () => assert.equal(parseStrokes(text), null));
}

test("thinned points keep both ends and the minimum distance", () => {
  const points = Array.from({ length: 101 }, (_, x) => [x, 0]);
  assert.deepEqual(thinnedPoints(points, 25), [[0, 0], [25, 0], [50, 0], [75, 0], [100, 0]]);
  assert.deepEqual(thinnedPoints([[5, 5], [6, 5]], 25), [[5, 5], [6, 5]]);
  assert.deepEqual(thinnedPoints([[5, 5]], 25), [[5, 5]]);
});
