// @ts-check
// The face picker of PSFR_SelectFaces. It shows the first frame with a face, or the first frame of each track, with a button on
// each face that adds the face to the widget `indices` or removes it.

// @ts-ignore: served by ComfyUI
import { app } from "../../../scripts/app.js";
import { boxStyle, parseIndices, toggled } from "./lib/face_indices.js";
import {
  addElement,
  element,
  imageUrl,
  inLanguage,
  isLinked,
  makeOutputHandler,
  runAfter,
  setValue,
} from "./lib/node_element.js";

/**
 * @typedef {{index: number, box: number[], score: number}} Face the box is in fractions of the frame's size
 * @typedef {{image: Record<string, string>, faces: Face[]}} Frame
 * @typedef {{frames: Frame[], width: number, height: number, count: number, hidden: number, indices: string}} Pick count is one
 *   more than the highest index, and hidden is the number of faces that no frame shows
 * @typedef {{face_picker?: Pick[]} | null | undefined} Output data that the node sends after a run
 */

/** @type {Record<string, Record<string, string>>} */
const TEXTS = Object.freeze({
  en: {
    face: "Face",
    toRun: "Run the workflow once to see the faces.",
    noFace: "No face in this image.",
    hidden: "Faces without a picture:",
    linked: "indices is linked: change it at the other end.",
    unreadable: "indices cannot be read:",
  },
  zh: {
    face: "人脸",
    toRun: "运行一次工作流即可看到人脸。",
    noFace: "此图像中没有人脸。",
    hidden: "没有图片的人脸数：",
    linked: "indices 已连线，请在连线的另一端修改。",
    unreadable: "无法读取 indices：",
  },
  ja: {
    face: "顔",
    toRun: "一度実行すると顔が表示されます。",
    noFace: "この画像に顔はありません。",
    hidden: "画像のない顔の数：",
    linked: "indices はリンクされています。リンク元で変更してください。",
    unreadable: "indices を読み取れません：",
  },
  ko: {
    face: "얼굴",
    toRun: "워크플로를 한 번 실행하면 얼굴이 표시됩니다.",
    noFace: "이 이미지에 얼굴이 없습니다.",
    hidden: "그림이 없는 얼굴 수:",
    linked: "indices가 연결되어 있습니다. 연결된 쪽에서 변경하세요.",
    unreadable: "indices를 읽을 수 없습니다:",
  },
  ru: {
    face: "Лицо",
    toRun: "Запустите процесс, чтобы увидеть лица.",
    noFace: "На этом изображении нет лиц.",
    hidden: "Лиц без изображения:",
    linked: "indices приходит по связи: измените его на другом конце.",
    unreadable: "Не удалось прочитать indices:",
  },
  fr: {
    face: "Visage",
    toRun: "Exécutez le workflow pour voir les visages.",
    noFace: "Aucun visage dans cette image.",
    hidden: "Visages sans image :",
    linked: "indices est relié : modifiez-le à l'autre bout.",
    unreadable: "indices illisible :",
  },
});

const NAME = "face_picker";
const MIN_HEIGHT = 110; // minimum height of the image, pixels
const FIRST_SIZE = /** @type {[number, number]} */ ([420, 300]); // small faces need room for their numbers

const CSS = `
.psfr-picker { display: flex; flex-direction: column; justify-content: center; min-height: ${MIN_HEIGHT}px;
  font: 12px/1.5 sans-serif; }
.psfr-stage { display: none; flex: 1; min-height: 0; gap: 4px; grid-template-columns: repeat(var(--psfr-columns), 1fr); }
.psfr-filled .psfr-stage { display: grid; }
.psfr-cell { display: grid; container-type: size; place-items: center; }
.psfr-frame { position: relative; width: min(100cqw, 100cqh * var(--psfr-aspect)); aspect-ratio: var(--psfr-aspect); }
.psfr-frame img { display: block; width: 100%; height: 100%; border-radius: 4px; }
.psfr-frame button { position: absolute; container-type: inline-size; box-sizing: border-box; padding: 0;
  min-width: 10px; min-height: 10px; border: 1px dashed #fffc; border-radius: 3px; background: #0006; cursor: pointer; }
.psfr-frame button:disabled { cursor: default; }
.psfr-frame button[aria-pressed="true"] { border: 2px solid #3dff9a; background: none; box-shadow: 0 0 0 1px #000a; }
.psfr-frame button:is(:hover, :focus-visible) { z-index: 1; outline: 2px solid #fff; }
.psfr-frame span { position: absolute; left: 50%; top: 100%; transform: translate(-50%, -3px); padding: 0 2px;
  border-radius: 2px; font: bold clamp(9px, 20cqw, 14px)/1.1 sans-serif; color: #fff; background: #000b; }
.psfr-frame [aria-pressed="true"] span { color: #000; background: #3dff9a; }
.psfr-status { overflow: hidden; white-space: nowrap; text-overflow: ellipsis; text-align: center;
  color: var(--descrip-text); }
.psfr-status.psfr-error { color: var(--error-text); }
.psfr-status:empty { display: none; }`;

app.registerExtension({
  name: "psfr.facePicker",
  setup: () => document.head.append(element("style", { textContent: CSS })),
  nodeCreated(/** @type {any} */ node) {
    const indices = node.widgets?.find((/** @type {any} */ widget) => widget.name === "indices");
    if (node.comfyClass === "PSFR_SelectFaces" && indices) addPicker(node, indices);
  },
  onNodeOutputsUpdated: makeOutputHandler(NAME),
});

function addPicker(/** @type {any} */ node, /** @type {any} */ indices) {
  let pick = /** @type {Pick | undefined} */ (undefined);
  let isLoaded = false;
  const status = element("div", { className: "psfr-status" });
  const stage = element("div", { className: "psfr-stage" });
  const root = element("div", { className: "psfr-picker" }, stage, status);

  // A link overrides the widget. The value from the link is only known after a run.
  const linked = () => isLinked(node, "indices");
  const text = () => String((linked() ? pick?.indices : indices.value) ?? "");
  const hasFaces = () => Boolean(pick?.frames.some(({ faces }) => faces.length));
  const isFilled = () => isLoaded && hasFaces();

  function refresh() {
    const { chosen, error } = parseIndices(text(), pick?.count ?? 0);
    for (const button of stage.querySelectorAll("button")) {
      button.ariaPressed = String(chosen.has(Number(button.value)));
      button.disabled = linked();
    }
    status.textContent = statusText(error);
    status.classList.toggle("psfr-error", isFilled() && error !== null);
    root.classList.toggle("psfr-filled", isFilled());
    node.setDirtyCanvas(true, true);
  }

  function statusText(/** @type {string | null} */ error) {
    const texts = inLanguage(TEXTS);
    if (!pick) return texts.toRun;
    if (!hasFaces()) return texts.noFace;
    if (linked()) return texts.linked;
    if (error !== null) return `${texts.unreadable} ${error}`;
    return pick.hidden ? `${texts.hidden} ${pick.hidden}` : "";
  }

  function show(/** @type {Output} */ output) {
    if (!output?.face_picker?.[0]) return;
    pick = output.face_picker[0];
    const frames = pick.frames.filter(({ faces }) => faces.length);
    stage.style.setProperty("--psfr-aspect", String(pick.width / pick.height));
    stage.style.setProperty("--psfr-columns", String(Math.ceil(Math.sqrt(frames.length))));
    stage.replaceChildren(...frames.map(frameCell));
    refresh();
  }

  function frameCell(/** @type {Frame} */ { image, faces }) {
    const src = imageUrl(image);
    const shown = pick;
    const onerror = () => shown === pick && forget(); // pictures of an earlier run may fail late
    const picture = Object.assign(new Image(), { draggable: false, onload: reveal, onerror, src });
    const overlay = element("div", { className: "psfr-frame" }, picture, ...faces.map(faceButton));
    return element("div", { className: "psfr-cell" }, overlay);
  }

  function faceButton(/** @type {Face} */ { index, box, score }) {
    const ariaLabel = `${inLanguage(TEXTS).face} ${index}`;
    const title = `${ariaLabel} (${score.toFixed(2)})`;
    const number = element("span", { textContent: String(index) });
    const button = element("button", { type: "button", value: String(index), ariaLabel, title }, number);
    button.onclick = () => toggle(index);
    Object.assign(button.style, boxStyle(box));
    return button;
  }

  function toggle(/** @type {number} */ index) {
    setValue(node, indices, toggled(text(), index, pick?.count ?? 0));
  }

  function reveal() {
    isLoaded = true;
    refresh();
  }

  function forget() {
    isLoaded = false;
    pick = undefined; // the server deletes temporary images when it restarts
    refresh();
  }

  runAfter(indices, "callback", refresh);
  addElement(node, { name: NAME, root, minHeight: () => MIN_HEIGHT, firstSize: FIRST_SIZE, show, refresh });
}
