// Opens a page with ComfyUI's real frontend in headless Chromium.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
const FINAL = ["execution_success", "execution_error", "execution_interrupted"];

/** Opens the frontend of the server at `base`, with Nodes 2.0 if `vue` is true. Returns the page and its errors. */
export async function openComfy(base, { vue = false, locale = "en" } = {}) {
  await fetch(`${base}/api/settings`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      "Comfy.TutorialCompleted": true, // its dialog would cover the canvas
      "Comfy.Notification.ShowVersionUpdates": false,
      "Comfy.Locale": locale,
      "Comfy.VueNodes.Enabled": vue,
    }),
  });
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "comfy-page-"));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    viewport: { width: 1600, height: 900 },
    args: FLAGS,
  });
  const page = browser.pages()[0];
  page.setDefaultTimeout(60_000);
  // Requests to other servers are refused.
  await page.route("**/*", (route) => {
    const isLocal = [base, "data:", "blob:"].some((start) => route.request().url().startsWith(start));
    return isLocal ? route.continue() : route.abort();
  });
  const errors = [];
  page.on("pageerror", (error) => errors.push(`${error.message}\n${error.stack}`));
  // The frontend catches the errors of extensions and logs them.
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(base, { waitUntil: "domcontentloaded" });
  await page.waitForFunction(
    () => window.app?.graph && window.app.canvas && Object.keys(LiteGraph.registered_node_types).length > 100,
  );
  await page.waitForTimeout(1000);
  await page.evaluate((types) => {
    window.ends = [];
    const api = window.comfyAPI.api.api;
    for (const type of types) api.addEventListener(type, ({ detail }) => window.ends.push({ type, detail }));
  }, FINAL);
  const close = async () => {
    await browser.close();
    fs.rmSync(profile, { recursive: true, force: true });
  };
  return { page, errors, close };
}

/** Loads a workflow as if the user had opened its file. */
export async function load(page, workflow) {
  await page.evaluate((json) => app.loadGraphData(json, true, true), workflow);
  await page.waitForTimeout(800);
}

/** Runs the workflow on the canvas. Returns the type of the final event, or the errors of the nodes as JSON. */
export async function run(page) {
  await page.evaluate(async () => {
    window.ends.length = 0;
    await app.queuePrompt(0, 1);
  });
  await page.waitForFunction(() => window.ends.length || Object.keys(app.lastNodeErrors ?? {}).length, null, {
    timeout: 600_000,
  });
  await page.waitForTimeout(800); // until the previews are drawn
  return page.evaluate(() => window.ends[0]?.type ?? JSON.stringify(app.lastNodeErrors));
}
