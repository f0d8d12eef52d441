// Tests the pack in ComfyUI's real frontend. COMFYUI_URL is the address of the server, and NODES_2=1 selects Nodes 2.0.
// test_browser.py sets both.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { load, openComfy, run } from "./comfy_page.mjs";

const BASE = process.env.COMFYUI_URL;
const VUE = process.env.NODES_2 === "1";
const SHOTS = process.env.SHOTS; // a folder for screenshots to look at
const EXAMPLES = path.join(import.meta.dirname, "..", "..", "examples");
const NAMES = fs.readdirSync(EXAMPLES).filter((name) => name.endsWith(".json")).sort();
const NEWER_NODES = ["ImageCompare", "Painter"]; // ComfyUI's nodes that not all supported versions have
const read = (name) => JSON.parse(fs.readFileSync(path.join(EXAMPLES, name), "utf8"));

let comfy;
let page;
let incapable; // the reason why this rendering cannot show elements of packs, or undefined
before(async () => {
  comfy = await openComfy(BASE, { vue: VUE });
  page = comfy.page;
  const version = await page.evaluate(() => window.__COMFYUI_FRONTEND_VERSION__);
  // This preview version of Nodes 2.0 draws neither images (not even ComfyUI's own), nor elements of packs, nor the help button.
  if (VUE && version.startsWith("1.27.")) incapable = `Nodes 2.0 of frontend ${version} does not draw elements of packs`;
});
after(() => comfy?.close());

const shot = async (name) => SHOTS && page.screenshot({ path: path.join(SHOTS, `${name}.png`) });

const warnings = () =>
  page.evaluate(() => [
    ...[...document.querySelectorAll("[role=dialog], .p-toast-message-error, .p-toast-message-warn")]
      .filter((element) => element.offsetParent)
      .map((element) => element.innerText),
    ...(document.body.innerText.match(/\d+ errors? found|.* is missing/g) ?? []),
  ]);

/** Returns whether the workflow has newer nodes that this version of ComfyUI lacks. */
const lacksNodesOf = (workflow) =>
  page.evaluate(
    (types) => types.some((type) => !(type in LiteGraph.registered_node_types)),
    workflow.nodes.map(({ type }) => type).filter((type) => NEWER_NODES.includes(type)),
  );

test("every example opens without missing nodes or warnings, and with its values", async (t) => {
  for (const name of NAMES) {
    await t.test(name, async (t) => {
      const workflow = read(name);
      if (await lacksNodesOf(workflow)) return t.skip("this ComfyUI is too old for it");
      await load(page, workflow);
      const found = await page.evaluate(() =>
        app.graph.serialize().nodes.map(({ id, type, widgets_values }) => ({
          id,
          values: widgets_values,
          isKnown: type in LiteGraph.registered_node_types || type.endsWith("Note"),
        })),
      );
      assert.deepEqual(found.filter((node) => !node.isKnown), []);
      for (const { id, type, widgets_values: values } of workflow.nodes) {
        if (type.startsWith("PSFR_")) assert.deepEqual(found.find((node) => node.id === id).values ?? [], values ?? [], type);
      }
      if (name === "14_published_512.json") await page.keyboard.press("Escape"); // some frontends offer its files
      else assert.deepEqual(await warnings(), []);
    });
  }
});

test("an example runs and shows what it did", async (t) => {
  // Before version 0.19, ComfyUI does not send the previews of cached nodes again. The server may have cached these nodes for
  // another page.
  const body = JSON.stringify({ unload_models: true, free_memory: true });
  await fetch(`${BASE}/free`, { method: "POST", headers: { "content-type": "application/json" }, body });
  await page.waitForTimeout(1500);
  await load(page, read("06_edit_the_parse_map.json"));
  assert.equal(await run(page), "execution_success");
  if (incapable) {
    assert.equal(await page.evaluate(() => document.querySelectorAll("[data-node-id] img").length), 0);
    return t.skip(incapable);
  }
  const shown = await page.evaluate((isVue) => {
    const nodes = app.graph._nodes.filter((node) => node.type.startsWith("PSFR_") && node.type !== "PSFR_LoadModels");
    return nodes.map((node) => {
      const pictures = isVue ? document.querySelectorAll(`[data-node-id="${node.id}"] img`) : node.imgs;
      return { type: node.type, widths: [...(pictures ?? [])].map((picture) => picture.naturalWidth) };
    });
  }, VUE);
  await shot("06_edit_the_parse_map");
  for (const { type, widths } of shown) assert.ok(widths.length && widths.every((width) => width >= 256), `${type}: ${widths}`);
});

test("widgets without effect are disabled", async () => {
  const disabled = (preset) =>
    page.evaluate((preset) => {
      app.graph.clear();
      const node = LiteGraph.createNode("PSFR_LoadModels");
      app.graph.add(node);
      node.widgets[0].value = preset;
      node.widgets[0].callback?.(preset);
      return node.widgets.filter((widget) => widget.disabled).map(({ name }) => name);
    }, preset);
  assert.deepEqual(await disabled("bundled 512"), ["generator", "parser", "detector", "download"]);
  assert.deepEqual(await disabled("published 512"), ["generator", "parser", "detector"]);
  assert.deepEqual(await disabled("custom"), []);
  const unused = await page.evaluate(() => {
    const node = LiteGraph.createNode("PSFR_DegradationOptions");
    app.graph.add(node);
    const noise = node.widgets.find(({ name }) => name === "noise_probability");
    noise.value = 0;
    noise.callback?.(0);
    return node.widgets.filter(({ disabled }) => disabled).map(({ name }) => name);
  });
  assert.deepEqual(unused, ["noise_std_low", "noise_std_high", "noise_per_channel_probability"]);
});

test("regions have sliders and toggles, which are saved and sent", async () => {
  const { types, saved, sent } = await page.evaluate(async () => {
    app.graph.clear();
    const [options, restorer] = ["PSFR_PasteOptions", "PSFR_RestoreOptions"].map((type) => {
      const node = LiteGraph.createNode(type);
      app.graph.add(node);
      return node;
    });
    options.connect(0, restorer, restorer.findInputSlot("paste"));
    const widget = (name) => options.widgets.find((widget) => widget.name === name);
    widget("eyes_strength").value = 0.25;
    widget("hat").value = true;
    const { output } = await app.graphToPrompt();
    const find = ({ class_type }) => class_type === "PSFR_PasteOptions";
    return {
      types: ["eyes_strength", "hair_strength", "hat"].map((name) => widget(name).type),
      saved: options.serialize().widgets_values,
      sent: Object.values(output).find(find).inputs,
    };
  });
  assert.deepEqual(types, ["slider", "slider", "toggle"]);
  assert.deepEqual(saved, [0.06, "face,ears,hair,earring", 0, 1, 0.25, 1, 1, 1, 1, 1, 1, true, false, false]);
  assert.deepEqual([sent.skin_strength, sent.eyes_strength, sent.hat, sent.neck], [1, 0.25, true, false]);
});

/** The notes that nodes show. */
const notesOf = (page) =>
  page.evaluate(() => [...document.querySelectorAll(".psfr-notes p")].map((note) => note.innerText).filter(Boolean));

test("a node shows what happened, in the language of the interface", async (t) => {
  if (incapable) return t.skip(incapable);
  const workflow = read("01_restore_in_one_node.json");
  workflow.nodes.find(({ type }) => type === "PSFR_RestoreFacesInImage").widgets_values[1] = VUE ? 0.87 : 0.86; // not cached
  await load(page, workflow);
  assert.equal(await run(page), "execution_success");
  assert.deepEqual(await notesOf(page), ["Faces restored: 1."]);
  await shot("notes");
});

const indices = () =>
  page.evaluate(() => {
    const node = app.graph._nodes.find((node) => node.type === "PSFR_SelectFaces");
    return node.widgets.find((widget) => widget.name === "indices").value;
  });

const pressed = () =>
  page.evaluate(() =>
    [...document.querySelectorAll(".psfr-frame button[aria-pressed=true]")].map((button) => Number(button.value)),
  );

test("the face picker chooses faces, and the choice is saved, shared and sent", async (t) => {
  await load(page, read("03_only_the_chosen_faces.json"));
  assert.equal(await run(page), "execution_success");
  if (incapable) {
    assert.equal(await page.evaluate(() => document.querySelectorAll(".psfr-picker").length), 0);
    return t.skip(incapable); // there, the widget's text selects the faces
  }
  assert.equal(await indices(), "0-3");
  assert.deepEqual(await pressed(), [0, 1, 2, 3]);
  await page.evaluate(() => {
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [-300, -480]; // moves the node to the middle of the window
    app.canvas.setDirty(true, true);
  });
  await page.waitForTimeout(500);
  await page.click(".psfr-frame button[value='1']");
  assert.equal(await indices(), "0,2,3");
  await page.keyboard.press("Control+z"); // recreates the nodes
  await page.waitForTimeout(800);
  assert.equal(await indices(), "0-3");
  assert.deepEqual(await pressed(), [0, 1, 2, 3]);
  await page.click(".psfr-frame button[value='1']");
  await page.click(".psfr-frame button[value='7']");
  await shot("face_picker");
  assert.equal(await indices(), "0,2,3,7");
  const { saved, prompt } = await page.evaluate(async () => ({
    saved: app.graph.serialize(),
    prompt: (await app.graphToPrompt()).output,
  }));
  const node = saved.nodes.find(({ type }) => type === "PSFR_SelectFaces");
  assert.deepEqual(node.widgets_values, ["area", "0,2,3,7", 0, 0, 0]);
  const sent = Object.values(prompt).find(({ class_type }) => class_type === "PSFR_SelectFaces").inputs;
  assert.deepEqual(Object.keys(sent).sort(), ["faces", "indices", "max_faces", "max_size", "min_size", "order"]);
  assert.equal(sent.indices, "0,2,3,7");
  for (const [text, chosen] of [["1", [1]], ["0,2,3,7", [0, 2, 3, 7]]]) {
    node.widgets_values[1] = text; // the first text differs from what the picker shows
    await load(page, saved);
    assert.equal(await indices(), text);
    assert.equal(await run(page), "execution_success");
    assert.deepEqual(await pressed(), chosen);
  }
});

test("the face picker shows what a link chose, and takes no clicks", async (t) => {
  if (incapable) return t.skip(incapable);
  await load(page, read("03_only_the_chosen_faces.json"));
  await page.evaluate(() => {
    const text = LiteGraph.createNode("PrimitiveString");
    app.graph.add(text);
    text.widgets[0].value = "2";
    const node = app.graph._nodes.find((node) => node.type === "PSFR_SelectFaces");
    text.connect(0, node, node.findInputSlot("indices"));
  });
  assert.equal(await run(page), "execution_success");
  assert.deepEqual(await pressed(), [2]);
  assert.equal(await page.locator(".psfr-frame button:enabled").count(), 0);
  assert.match(await page.textContent(".psfr-status"), /is linked/);
  await shot("face_picker_linked");
  await page.evaluate(() => {
    const node = app.graph._nodes.find((node) => node.type === "PSFR_SelectFaces");
    node.disconnectInput(node.findInputSlot("indices"));
  });
  assert.deepEqual(await pressed(), [0, 1, 2, 3]);
  assert.equal(await page.textContent(".psfr-status"), "");
});

test("a new Select Faces keeps its size when it shows faces", async (t) => {
  if (incapable) return t.skip(incapable);
  await load(page, read("03_only_the_chosen_faces.json"));
  const size = await replacePicker();
  assert.equal(await run(page), "execution_success");
  assert.deepEqual(await pickerSize(), size);
  assert.ok((await page.locator(".psfr-frame img").boundingBox()).height >= 100);
});

test("the face picker shows the first frame of each person", async (t) => {
  if (incapable) return t.skip(incapable);
  const node = (class_type, inputs) => ({ class_type, inputs });
  const shots = { 1: "portrait_low_quality.jpg", 2: "solvay_conference_1927.jpg" };
  const prompt = Object.fromEntries(
    Object.entries(shots).map(([id, picture]) => [id, node("PSFR_LoadExampleImage", { picture })]),
  );
  Object.assign(prompt, {
    3: node("ImageScale", { image: ["1", 0], upscale_method: "area", width: 512, height: 512, crop: "center" }),
    4: node("ImageCrop", { image: ["2", 0], width: 512, height: 512, x: 1350, y: 180 }),
    5: node("RepeatImageBatch", { image: ["3", 0], amount: 5 }),
    6: node("RepeatImageBatch", { image: ["4", 0], amount: 5 }),
    7: node("ImageBatch", { image1: ["5", 0], image2: ["6", 0] }),
    8: node("PSFR_LoadFaceDetector", {}),
    9: node("PSFR_DetectFaces", { image: ["7", 0], detector: ["8", 0] }),
    10: node("PSFR_TrackFaces", { image: ["7", 0], faces: ["9", 0] }),
    11: node("PSFR_SelectFaces", { faces: ["10", 0] }),
    12: node("PSFR_FacesToMask", { image: ["7", 0], faces: ["11", 0] }),
    13: node("MaskPreview", { mask: ["12", 0] }),
  });
  await page.evaluate((json) => app.loadApiJson(json, "tracks"), prompt);
  await page.waitForTimeout(800);
  assert.equal(await run(page), "execution_success");
  const frames = await page.evaluate(() =>
    [...document.querySelectorAll(".psfr-frame")].map((frame) =>
      [...frame.querySelectorAll("button")].map((button) => Number(button.value)).sort((a, b) => a - b),
    ),
  );
  await page.evaluate(() => {
    app.canvas.ds.scale = 1;
    app.canvas.centerOnNode(app.graph._nodes.find(({ type }) => type === "PSFR_SelectFaces"));
  });
  await page.waitForTimeout(500);
  await shot("face_picker_tracks");
  assert.equal(frames.length, 2);
  assert.deepEqual(frames[0], [0]);
  assert.deepEqual(frames[1], frames[1].map((_, index) => index + 1)); // the people of the second shot follow
  assert.ok(frames[1].length >= 2);
  assert.deepEqual(await pressed(), frames.flat());
});

const pickerSize = () =>
  page.evaluate(() => [...app.graph._nodes.find(({ type }) => type === "PSFR_SelectFaces").size]);

/** Replaces Select Faces by a new node. Returns the size of the new node. */
async function replacePicker() {
  await page.evaluate(() => {
    const old = app.graph._nodes.find(({ type }) => type === "PSFR_SelectFaces");
    const made = LiteGraph.createNode(old.type);
    app.graph.add(made);
    made.widgets.find(({ name }) => name === "indices").value = "0"; // one face is restored fast
    const next = old.getOutputNodes(0)[0];
    old.getInputNode(0).connect(0, made, 0);
    made.connect(0, next, next.findInputSlot("faces"));
    app.graph.remove(old);
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [100, 100]; // the new node at the top left
    app.canvas.setDirty(true, true);
  });
  await page.waitForTimeout(800);
  return pickerSize();
}

test("a search for what users want finds Restore Faces in Image first", async (t) => {
  const aliases = await page.evaluate(() => LiteGraph.registered_node_types.PSFR_RestoreFacesInImage.nodeData.search_aliases);
  if (!aliases) return t.skip("this ComfyUI has no words for searches");
  await load(page, read("01_restore_in_one_node.json"));
  for (const words of ["old photo", "upscale face", "deblur face", "restoration", "face restoration"]) {
    await page.mouse.dblclick(800, 850); // an empty place of the canvas
    await page.waitForTimeout(500);
    await page.keyboard.type(words);
    await page.waitForTimeout(1000);
    assert.match(await page.locator("[role=option]").first().innerText(), /^Restore Faces in Image/, words);
    await shot("search");
    await page.keyboard.press("Escape");
    await page.waitForTimeout(500);
  }
});

test("links of the pack's types have colors, also after a change of the palette", async () => {
  const colors = () =>
    page.evaluate(() => {
      const [byType, byLink] = [app.canvas.default_connection_color_byType, app.canvas.constructor.link_type_colors];
      const style = getComputedStyle(document.documentElement);
      return ["PSFR_FACES", "IMAGE"].map((type) => [
        byType[type],
        byLink[type],
        type.startsWith("PSFR") ? style.getPropertyValue(`--color-datatype-${type}`) : byType[type],
      ]);
    });
  const palette = (name) => page.evaluate((id) => app.extensionManager.setting.set("Comfy.ColorPalette", id), name);
  const [faces, image] = await colors();
  assert.deepEqual(faces, ["#dce775", "#dce775", "#dce775"]);
  await palette("solarized");
  await page.waitForTimeout(800);
  const [later, changed] = await colors();
  assert.deepEqual(later, faces);
  assert.notDeepEqual(changed, image); // the palette has changed
  await palette("dark");
});

const painter = () =>
  page.evaluate(() => app.graph._nodes.find((node) => node.type === "PSFR_PaintParseMap").widgets[0].value);

/** Waits until the painter's map has this color at a place in fractions of its side. */
async function waitForColor(x, y, color) {
  for (let tries = 0; tries < 50 && (await colorAt(x, y)) !== color; tries++) await page.waitForTimeout(100);
  assert.equal(await colorAt(x, y), color);
}

/** Returns the color of the painter's map at a place in fractions of its side. */
const colorAt = (x, y) =>
  page.evaluate(
    ([x, y]) => {
      const canvas = document.querySelector(".psfr-paint-frame canvas");
      const place = [Math.floor(x * canvas.width), Math.floor(y * canvas.height)];
      return [...canvas.getContext("2d").getImageData(...place, 1, 1).data].slice(0, 3).join();
    },
    [x, y],
  );

test("the painter paints the parse map, and only what follows runs again", async (t) => {
  const workflow = read("07_paint_the_parse_map.json");
  await load(page, workflow);
  assert.equal(await run(page), "execution_success");
  if (incapable) return t.skip(incapable);
  const drawn = workflow.nodes.find(({ type }) => type === "PSFR_PaintParseMap").widgets_values[0];
  assert.equal(await painter(), drawn);
  await page.evaluate(() => {
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [-500, -440]; // moves the node to the middle of the window
    app.canvas.setDirty(true, true);
  });
  await page.waitForTimeout(800);
  const [forehead, hair] = ["240,190,150", "110,60,150"];
  await waitForColor(0.5, 0.25, forehead);
  const canvas = page.locator(".psfr-paint-frame canvas");
  const { x, y, width } = await canvas.boundingBox();
  await page.click(".psfr-painter button[value='hair']");
  await page.mouse.move(x + width * 0.5, y + width * 0.25);
  await page.mouse.down();
  await page.mouse.move(x + width * 0.6, y + width * 0.25, { steps: 5 });
  await page.mouse.up();
  assert.match(await painter(), new RegExp(`^${drawn}; 0 hair 60 500,250( \\d+,250)+$`));
  await waitForColor(0.55, 0.25, hair);
  await shot("painter");

  await page.evaluate(() => {
    window.ran = [];
    window.comfyAPI.api.api.addEventListener("executing", ({ detail }) => detail && window.ran.push(Number(detail.node ?? detail)));
  });
  const painted = await painter();
  assert.equal(await run(page), "execution_success");
  const ran = await page.evaluate(() => window.ran.map((id) => app.graph.getNodeById(id).type));
  assert.deepEqual(ran.filter((type) => /DetectFaces|_AlignFaces|ParseFaces/.test(type)), []);
  assert.ok(ran.includes("PSFR_PaintParseMap") && ran.includes("PSFR_RestoreAlignedFaces"), String(ran));

  await page.keyboard.press("Control+z"); // ComfyUI's own undo, which recreates the nodes
  await page.waitForTimeout(800);
  assert.equal(await painter(), drawn);
  await waitForColor(0.55, 0.25, forehead);
  await page.keyboard.press("Control+y");
  await page.waitForTimeout(800);
  assert.equal(await painter(), painted);
  await page.click(".psfr-painter button[title='Undo']");
  assert.equal(await painter(), drawn);
  await page.click(".psfr-painter button[title='Redo']");
  assert.equal(await painter(), painted);
  await page.focus(".psfr-paint-frame canvas");
  await page.keyboard.press("i");
  await page.mouse.click(x + width * 0.5, y + width * 0.6); // the nose
  assert.equal(await page.getAttribute(".psfr-painter button[value='nose']", "aria-pressed"), "true");
  await page.keyboard.press("e");
  for (const key of ["ArrowUp", "ArrowUp", " "]) await page.keyboard.press(key);
  assert.match(await painter(), /; 0 parsed 60 500,580$/);

  const saved = await page.evaluate(() => app.graph.serialize());
  const sent = await page.evaluate(async () => (await app.graphToPrompt()).output);
  const { inputs } = Object.values(sent).find(({ class_type }) => class_type === "PSFR_PaintParseMap");
  assert.deepEqual(Object.keys(inputs).sort(), ["crops", "parse_map", "strokes"]);
  assert.equal(inputs.strokes, await painter());
  await load(page, saved);
  assert.equal(await painter(), inputs.strokes);
});

test("the help panel shows the page of a node with its pictures", async (t) => {
  if (incapable) return t.skip(incapable);
  await showHelp(page);
  await shot("help");
});

/** Opens the help of Select Faces, and waits for its text and its picture. */
async function showHelp(page) {
  await load(page, read("03_only_the_chosen_faces.json"));
  await page.evaluate(() => {
    app.canvas.selectNode(app.graph._nodes.find((node) => node.type === "PSFR_SelectFaces"));
    app.canvas.setDirty(true, true);
  });
  await page.waitForSelector('[data-testid="info-button"]', { state: "attached" });
  await page.evaluate(() => document.querySelector('[data-testid="info-button"]').click());
  await page.waitForFunction(() => document.body.innerText.includes("Behavior"));
  await page.waitForFunction(() => document.querySelector('img[src*="psfr_picker"]')?.naturalWidth > 500);
}

test("the template browser lists the examples with their pictures", async () => {
  await page.evaluate(() => app.extensionManager.command.execute("Comfy.BrowseTemplates"));
  await page.getByRole("dialog").getByText("psfr-gan", { exact: true }).first().click();
  const names = page.getByText(/^\d\d_\w+$/);
  await names.first().waitFor();
  assert.deepEqual((await names.allInnerTexts()).slice(0, 4), NAMES.slice(0, 4).map((name) => path.parse(name).name));
  await page.waitForFunction(() => [...document.images].filter((image) => image.naturalWidth >= 500).length >= 4);
  await shot("templates");
  await page.keyboard.press("Escape");
});

test("names and texts come in the user's language", async () => {
  const other = await openComfy(BASE, { vue: VUE, locale: "fr" });
  try {
    const title = await other.page.evaluate(() => LiteGraph.createNode("PSFR_SelectFaces").title);
    const texts = JSON.parse(fs.readFileSync(path.join(EXAMPLES, "..", "locales", "fr", "nodeDefs.json"), "utf8"));
    assert.equal(title, texts.PSFR_SelectFaces.display_name);
    if (incapable) return;
    const workflow = read("01_restore_in_one_node.json");
    workflow.nodes.find(({ type }) => type === "PSFR_RestoreFacesInImage").widgets_values[1] = VUE ? 0.77 : 0.76; // not cached
    await load(other.page, workflow);
    assert.equal(await run(other.page), "execution_success");
    assert.deepEqual(await notesOf(other.page), ["Visages restaurés : 1."]);
    await showHelp(other.page);
  } finally {
    await other.close();
  }
});

test("no error of the pack was thrown in the page", () => {
  assert.deepEqual(comfy.errors.filter((error) => /psfr/i.test(error)), []);
});
