import assert from "node:assert/strict";
import { test } from "node:test";

import { unusedWidgets } from "../../web/js/lib/unused_widgets.js";

const unused = (...given) => [...unusedWidgets(...given)].sort();

test("Load PSFR-GAN uses the files only with the preset custom, and download with all presets except the bundled ones", () => {
  const files = ["detector", "generator", "parser"];
  assert.deepEqual(unused("PSFR_LoadModels", { preset: "bundled 256" }), ["detector", "download", "generator", "parser"]);
  assert.deepEqual(unused("PSFR_LoadModels", { preset: "published 512" }), files);
  assert.deepEqual(unused("PSFR_LoadModels", { preset: "custom" }), []);
  assert.deepEqual(unused("PSFR_LoadModels", { preset: undefined }), [], "a link may select custom");
});

test("the limits of a degradation that never happens are unused", () => {
  const values = { blur_probability: 0.5, noise_probability: 0, jpeg_probability: 0 };
  const noise = ["noise_per_channel_probability", "noise_std_high", "noise_std_low"];
  assert.deepEqual(unused("PSFR_DegradationOptions", values), ["jpeg_quality_high", "jpeg_quality_low", ...noise]);
  assert.equal(unused("PSFR_DegradationOptions", { blur_probability: 0 }).length, 8);
  assert.deepEqual(unused("PSFR_DetectFaces", { confidence: 0 }), []);
});
