// Makes the images of the examples and the help pages in ComfyUI's real frontend. make_pictures.py runs this file.
import fs from "node:fs";
import path from "node:path";
import { load, openComfy, run } from "./comfy_page.mjs";

const BASE = process.env.COMFYUI_URL;
const ONLY = process.argv.slice(2); // names of pictures to make; none: all
const ROOT = path.join(import.meta.dirname, "..", "..");
const EXAMPLES = path.join(ROOT, "examples");
const DOCS = path.join(ROOT, "web", "docs");
const read = (name) => JSON.parse(fs.readFileSync(path.join(EXAMPLES, `${name}.json`), "utf8"));

/**
 * A cell of a picture, which shows an image from a node.
 * @typedef {object} Cell
 * @property {number | string} node id of the node
 * @property {number} [index] number of the image of the node
 * @property {number[]} [crop] left, top, width and height in fractions of the image
 * @property {number} [after] id of the node whose image is shown in the right half
 * @property {string} [caption]
 */

const GROUP = [0.17, 0.17, 0.64, 0.36]; // a part of the group photo with the four largest faces
const row = (...nodes) => nodes.map((node) => ({ node }));
const faces = (node, count) => Array.from({ length: count }, (_, index) => ({ node, index }));

/** @type {Record<string, {height: number, rows: Cell[][]}>} the pictures of results, by example */
const RESULTS = {
  "01_restore_in_one_node": { height: 400, rows: [row(3, 4)] },
  "02_before_and_after": { height: 500, rows: [[{ node: 3, after: 4 }]] },
  "03_only_the_chosen_faces": { height: 300, rows: [[{ node: 3, crop: GROUP }], [{ node: 9, crop: GROUP }]] },
  "04_blur_the_other_faces": { height: 400, rows: [[{ node: 9, crop: GROUP }]] },
  "05_step_by_step": { height: 220, rows: [faces(5, 5), faces(6, 5), faces(7, 5)] },
  "06_edit_the_parse_map": { height: 290, rows: [row(8, 6, 7, 9)] },
  "09_through_another_model": { height: 380, rows: [row(5, 6, 10)] },
  "10_on_an_upscaled_background": { height: 500, rows: [row(3, 10)] },
  "11_a_batch_of_frames": { height: 260, rows: [faces(5, 4), faces(6, 4)] },
  "13_compare_with_the_original": { height: 290, rows: [row(3, 4, 5, 7)] },
};

const comfy = await openComfy(BASE, { vue: true });
const { page } = comfy;
await page.setViewportSize({ width: 2200, height: 1500 }); // so large that no panel of the frontend covers a node
await page.evaluate(() => app.extensionManager.setting.set("Comfy.Minimap.Visible", false));
const album = await page.context().newPage();
await album.goto(`${BASE}/system_stats`); // the server sends images only to its own pages
await page.bringToFront();

const wanted = (name) => !ONLY.length || ONLY.includes(name);

/**
 * Runs a workflow without cached nodes. Returns the addresses of the images of its nodes, by node id.
 * @param {object} workflow @param {(given: any) => void} [edit] changes it in the page @param {any} [given] for `edit`
 */
async function imagesOf(workflow, edit, given) {
  const body = JSON.stringify({ unload_models: true, free_memory: true });
  await fetch(`${BASE}/free`, { method: "POST", headers: { "content-type": "application/json" }, body });
  await page.waitForTimeout(1500);
  await load(page, workflow);
  if (edit) await page.evaluate(edit, given);
  const end = await run(page);
  if (end !== "execution_success") throw new Error(`The workflow ended with ${end}.`);
  return page.evaluate(() =>
    Object.fromEntries(
      Object.entries(app.nodeOutputs).map(([id, { images = [] }]) => [
        id,
        images.map((image) => `${location.origin}/view?${new URLSearchParams(image)}`),
      ]),
    ),
  );
}

/** Writes a picture with rows of images. */
async function writeStrip(file, images, { height, rows }) {
  const cells = rows.map((cells) =>
    cells.map((cell) => ({ ...cell, url: images[cell.node][cell.index ?? 0], afterUrl: cell.after && images[cell.after][0] })),
  );
  await album.evaluate(
    async ([rows, height]) => {
      const made = (tag, style, ...children) => {
        const element = document.createElement(tag);
        Object.assign(element.style, style);
        element.append(...children);
        return element;
      };
      const cropped = async (url, [left, top, width, height], shown, clip = "none") => {
        const image = made("img", { position: "absolute", clipPath: clip });
        image.src = url;
        await image.decode();
        const scale = shown / (height * image.naturalHeight);
        const [full, tall] = [image.naturalWidth * scale, image.naturalHeight * scale];
        Object.assign(image.style, { width: `${full}px`, left: `${-left * full}px`, top: `${-top * tall}px` });
        return { image, width: width * full };
      };
      const main = made("main", { display: "inline-block", background: "white" });
      document.body.replaceChildren(main);
      for (const cells of rows) {
        const line = made("div", { display: "flex", gap: "8px", padding: "4px" });
        for (const { url, afterUrl, crop = [0, 0, 1, 1], caption } of cells) {
          const { image, width } = await cropped(url, crop, height);
          const frame = made("div", { position: "relative", overflow: "hidden", width: `${width}px`, height: `${height}px` }, image);
          if (afterUrl) {
            const { image: after } = await cropped(afterUrl, crop, height, "inset(0 0 0 50%)");
            const border = { position: "absolute", left: "50%", width: "3px", height: "100%", background: "white" };
            frame.append(after, made("div", border));
          }
          const text = made("div", { font: "18px sans-serif", textAlign: "center", paddingBottom: "4px" }, caption ?? "");
          line.append(made("div", {}, ...(caption ? [text] : []), frame));
        }
        main.append(line);
      }
    },
    [cells, height],
  );
  await album.locator("main").screenshot({ path: file, type: "jpeg", quality: 85 });
}

/** Moves the canvas so that the place (x, y) is at the top left. */
async function showFrom(x, y) {
  await page.evaluate(
    ([x, y]) => {
      app.canvas.ds.scale = 1;
      app.canvas.ds.offset = [-x, -y];
      app.canvas.setDirty(true, true);
    },
    [x, y],
  );
  await page.waitForTimeout(1500);
}

/** Writes a screenshot of some nodes, with a margin. */
async function writeNodes(file, ids) {
  const boxes = await Promise.all(ids.map((id) => page.locator(`[data-node-id="${id}"]`).boundingBox()));
  const [left, top] = [Math.min(...boxes.map(({ x }) => x)) - 10, Math.min(...boxes.map(({ y }) => y)) - 10];
  const right = Math.max(...boxes.map(({ x, width }) => x + width)) + 10;
  const bottom = Math.max(...boxes.map(({ y, height }) => y + height)) + 10;
  const clip = { x: left, y: top, width: right - left, height: bottom - top };
  await page.screenshot({ path: file, type: "jpeg", quality: 85, clip });
}

/** Drags the mouse through points, which are in fractions of the size of an element. */
async function drag(element, points) {
  const { x, y, width, height } = await element.boundingBox();
  const [first, ...others] = points.map(([across, down]) => [x + across * width, y + down * height]);
  await page.mouse.move(...first);
  await page.mouse.down();
  for (const point of others) await page.mouse.move(...point, { steps: 5 });
  await page.mouse.up();
}

const PAINTER = [560, 300]; // the painter and the node on its right
const example = (name) => path.join(EXAMPLES, `${name}.jpg`);
const help = (name) => path.join(DOCS, `${name}.jpg`);
const withValues = (workflow, id, values) => {
  Object.assign(workflow.nodes.find((node) => node.id === id).widgets_values, values);
  return workflow;
};

/** Adds Paste Options with some values, and a preview of the mask, to the example step by step. Runs in the page. */
function showMask(values) {
  const paste = app.graph.getNodeById(8);
  const types = ["PSFR_PasteOptions", "MaskToImage", "PreviewImage"];
  const [options, mask, shown] = types.map((type, index) => {
    const node = Object.assign(LiteGraph.createNode(type), { id: 101 + index });
    app.graph.add(node);
    return node;
  });
  for (const [name, value] of Object.entries(values)) options.widgets.find((widget) => widget.name === name).value = value;
  options.connect(0, paste, paste.findInputSlot("options"));
  paste.connect(1, mask, 0);
  mask.connect(0, shown, 0);
  const parser = app.graph.getNodeById(6);
  parser.connect(0, paste, paste.findInputSlot("parse_map"));
}

/** Functions that make all other pictures, by name. */
const OTHERS = {
  // ComfyUI's painter, with the lower lip painted as the inside of the mouth.
  async "08_paint_in_core_painter"() {
    await imagesOf(read("08_paint_in_core_painter"));
    await showFrom(...PAINTER);
    const node = page.locator('[data-node-id="7"]');
    await node.locator("input[type=color]").evaluate((input) => {
      input.value = "#6e0028";
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });
    await drag(node.locator("canvas").first(), [[0.42, 0.755], [0.5, 0.765], [0.58, 0.755]]);
    await run(page);
    await page.mouse.move(1100, 1490);
    await page.waitForTimeout(1500);
    await writeNodes(example("08_paint_in_core_painter"), [7, 9]);
  },
  // A small generated face replaces the output of the sampler.
  async "12_after_diffusion"() {
    const images = await imagesOf(withValues(read("01_restore_in_one_node"), 3, ["portrait_clean.jpg"]), () => {
      const [loader, restorer] = [3, 4].map((id) => app.graph.getNodeById(id));
      const [scale, shown] = [["ImageScaleBy", 101], ["PreviewImage", 102]].map(([type, id]) => {
        const node = Object.assign(LiteGraph.createNode(type), { id });
        app.graph.add(node);
        return node;
      });
      scale.widgets.find(({ name }) => name === "scale_by").value = 0.3;
      loader.connect(0, scale, 0);
      scale.connect(0, shown, 0);
      scale.connect(0, restorer, 0);
    });
    await writeStrip(example("12_after_diffusion"), images, { height: 420, rows: [row(102, 4)] });
  },
  async "14_published_512"() {
    const images = await imagesOf(withValues(read("14_published_512"), 2, ["bundled 512"]));
    const rows = [[{ node: 3, caption: "before" }, { node: 4, caption: "here with bundled 512" }]];
    await writeStrip(example("14_published_512"), images, { height: 420, rows });
  },
  // Seeds of Degrade Image with different kinds of degradation.
  async psfr_degrade() {
    const seeds = [1, 2, 4, 7];
    const images = {};
    for (const seed of seeds) {
      const found = await imagesOf(withValues(read("13_compare_with_the_original"), 4, [seed]), () => {
        for (const id of [2, 5, 6, 7, 8, 9]) app.graph.remove(app.graph.getNodeById(id));
        const shown = Object.assign(LiteGraph.createNode("PreviewImage"), { id: 101 });
        app.graph.add(shown);
        app.graph.getNodeById(4).connect(0, shown, 0);
      });
      Object.assign(images, { image: found[3], [`seed ${seed}`]: found[101] });
    }
    const row = Object.keys(images).map((node) => ({ node, caption: node }));
    await writeStrip(help("psfr_degrade"), images, { height: 230, rows: [row] });
  },
  // The glasses of a face in the group photo become skin.
  async psfr_edit() {
    const workflow = withValues(read("06_edit_the_parse_map"), 3, ["solvay_conference_1927.jpg"]);
    const images = await imagesOf(withValues(workflow, 7, ["skin", "glasses"]));
    const row = [
      { node: 5, caption: "crop" },
      { node: 6, caption: "parse map" },
      { node: 8, caption: "restored" },
      { node: 7, caption: "glasses → skin" },
      { node: 9, caption: "restored" },
    ];
    await writeStrip(help("psfr_edit"), images, { height: 256, rows: [row.map((cell) => ({ ...cell, index: 9 }))] });
  },
  async psfr_overlay() {
    const images = await imagesOf(read("03_only_the_chosen_faces"));
    await writeStrip(help("psfr_overlay"), images, { height: 533, rows: [row(4)] });
  },
  async psfr_graph() {
    await imagesOf(read("03_only_the_chosen_faces"));
    await showFrom(-100, -150);
    await writeNodes(help("psfr_graph"), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  },
  async psfr_picker() {
    await imagesOf(read("03_only_the_chosen_faces"));
    await showFrom(200, 300);
    for (const face of [1, 7]) await page.click(`.psfr-frame button[value='${face}']`);
    await page.mouse.move(1100, 1490);
    await writeNodes(help("psfr_picker"), [5]);
  },
  async psfr_painter() {
    await imagesOf(read("07_paint_the_parse_map"));
    await showFrom(...PAINTER);
    await writeNodes(help("psfr_painter"), [7, 9]);
    fs.copyFileSync(help("psfr_painter"), example("07_paint_the_parse_map"));
  },
  async psfr_paste() {
    const columns = [
      ["face,ears,hair,earring", {}],
      ["the same, feather 0.2", { feather: 0.2 }],
      ["eyes,brows,mouth", { regions: "eyes,brows,mouth" }],
      ["hair strength 0.3", { hair_strength: 0.3 }],
      ["all", { regions: "all" }],
    ];
    const rows = [[], []];
    const images = {};
    for (const [place, [caption, values]] of columns.entries()) {
      const workflow = withValues(read("05_step_by_step"), 3, ["portrait.jpg"]);
      const found = await imagesOf(workflow, showMask, values);
      Object.assign(images, { [`photo ${place}`]: found[8], [`mask ${place}`]: found[103] });
      rows[0].push({ node: `photo ${place}`, caption });
      rows[1].push({ node: `mask ${place}` });
    }
    await writeStrip(help("psfr_paste"), images, { height: 220, rows });
  },
  async psfr_steps() {
    const images = await imagesOf(read("05_step_by_step"));
    const rows = [
      [
        { node: 5, caption: "Align Faces: crop" },
        { node: 6, caption: "Parse Faces: colors" },
        { node: 7, caption: "Restore Aligned Faces" },
        { node: 8, caption: "Paste Faces Back", crop: [0.512, 0.2, 0.11, 0.282] },
      ],
    ];
    await writeStrip(help("psfr_steps"), images, { height: 256, rows });
  },
};

for (const [name, picture] of Object.entries(RESULTS)) {
  if (wanted(name)) await writeStrip(example(name), await imagesOf(read(name)), picture);
}
for (const [name, write] of Object.entries(OTHERS)) {
  if (wanted(name)) await write();
}
await comfy.close();
