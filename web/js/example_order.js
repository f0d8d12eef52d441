// @ts-check
// Lists the examples in the order of their names; ComfyUI lists them in the order of the file system.

// @ts-ignore: served by ComfyUI
import { api } from "../../../scripts/api.js";
// @ts-ignore: served by ComfyUI
import { app } from "../../../scripts/app.js";

const PACK = decodeURIComponent(new URL(import.meta.url).pathname.split("/").at(-3) ?? ""); // name of the pack's folder

app.registerExtension({
  name: "psfr.exampleOrder",
  init() {
    const original = api.getWorkflowTemplates;
    if (!original) return;
    api.getWorkflowTemplates = async function () {
      const templates = await original.call(this);
      templates[PACK]?.sort();
      return templates;
    };
  },
});
