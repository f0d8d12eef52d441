// @ts-check
// The notes of nodes/notes.py in the languages of the interface.

/** @type {Record<string, Record<string, string>>} */
export const NOTE_TEXTS = Object.freeze({
  en: {
    FOUND: "Faces found: {count}.",
    RESTORED: "Faces restored: {count}.",
    SELECTED: "Faces selected: {count}.",
    NO_FACE: "No face found. Try a lower confidence.",
    NO_FACE_IN: "No face found in images {images} of {count}. Try a lower confidence.",
    TOO_SMALL: "Faces left out, smaller than {size} px: {count}.",
    TOO_LARGE: "Faces left out, larger than {size} px: {count}.",
    OUTSIDE_MASK: "Faces left out, outside the mask: {count}.",
    NOT_SELECTED: "Faces left out by the selection: {count}.",
    UNPAINTED_MASK: "The mask is unpainted (0 everywhere), so it does not restrict the search for faces.",
    PREVIEW_LIMIT: "The preview shows the first {shown} of {count} images.",
  },
  zh: {
    FOUND: "检测到的人脸：{count}。",
    RESTORED: "已修复的人脸：{count}。",
    SELECTED: "已选择的人脸：{count}。",
    NO_FACE: "未检测到人脸。请尝试降低置信度。",
    NO_FACE_IN: "共 {count} 张图像，其中第 {images} 张未检测到人脸。请尝试降低置信度。",
    TOO_SMALL: "因小于 {size} 像素而略过的人脸：{count}。",
    TOO_LARGE: "因大于 {size} 像素而略过的人脸：{count}。",
    OUTSIDE_MASK: "因位于遮罩之外而略过的人脸：{count}。",
    NOT_SELECTED: "未被选择的人脸：{count}。",
    UNPAINTED_MASK: "遮罩未绘制（全为 0），因此不限制人脸搜索范围。",
    PREVIEW_LIMIT: "预览显示 {count} 张图像中的前 {shown} 张。",
  },
  ja: {
    FOUND: "検出した顔：{count}。",
    RESTORED: "修復した顔：{count}。",
    SELECTED: "選択した顔：{count}。",
    NO_FACE: "顔が見つかりません。信頼度を下げてみてください。",
    NO_FACE_IN: "{count} 枚中 {images} 枚目の画像で顔が見つかりません。信頼度を下げてみてください。",
    TOO_SMALL: "{size} px より小さいため除外した顔：{count}。",
    TOO_LARGE: "{size} px より大きいため除外した顔：{count}。",
    OUTSIDE_MASK: "マスクの外にあるため除外した顔：{count}。",
    NOT_SELECTED: "選択されなかった顔：{count}。",
    UNPAINTED_MASK: "マスクが塗られていない（すべて 0）ため、顔の検索範囲は制限されません。",
    PREVIEW_LIMIT: "プレビューは {count} 枚のうち最初の {shown} 枚を表示しています。",
  },
  ko: {
    FOUND: "감지한 얼굴: {count}.",
    RESTORED: "복원한 얼굴: {count}.",
    SELECTED: "선택한 얼굴: {count}.",
    NO_FACE: "얼굴을 찾지 못했습니다. 신뢰도를 낮춰 보세요.",
    NO_FACE_IN: "이미지 {count}개 중 {images}번에서 얼굴을 찾지 못했습니다. 신뢰도를 낮춰 보세요.",
    TOO_SMALL: "{size}px보다 작아 제외한 얼굴: {count}.",
    TOO_LARGE: "{size}px보다 커서 제외한 얼굴: {count}.",
    OUTSIDE_MASK: "마스크 밖에 있어 제외한 얼굴: {count}.",
    NOT_SELECTED: "선택되지 않은 얼굴: {count}.",
    UNPAINTED_MASK: "마스크가 칠해지지 않아(모두 0) 얼굴 검색 범위를 제한하지 않습니다.",
    PREVIEW_LIMIT: "미리보기는 이미지 {count}개 중 처음 {shown}개를 보여 줍니다.",
  },
  ru: {
    FOUND: "Найдено лиц: {count}.",
    RESTORED: "Восстановлено лиц: {count}.",
    SELECTED: "Выбрано лиц: {count}.",
    NO_FACE: "Лица не найдены. Попробуйте снизить уверенность.",
    NO_FACE_IN: "Лица не найдены на изображениях {images} из {count}. Попробуйте снизить уверенность.",
    TOO_SMALL: "Пропущено лиц меньше {size} пикс.: {count}.",
    TOO_LARGE: "Пропущено лиц больше {size} пикс.: {count}.",
    OUTSIDE_MASK: "Пропущено лиц вне маски: {count}.",
    NOT_SELECTED: "Не выбрано лиц: {count}.",
    UNPAINTED_MASK: "Маска не закрашена (везде 0), поэтому она не ограничивает поиск лиц.",
    PREVIEW_LIMIT: "Показаны первые изображения: {shown} из {count}.",
  },
  fr: {
    FOUND: "Visages trouvés : {count}.",
    RESTORED: "Visages restaurés : {count}.",
    SELECTED: "Visages sélectionnés : {count}.",
    NO_FACE: "Aucun visage trouvé. Essayez une confiance plus basse.",
    NO_FACE_IN: "Aucun visage trouvé dans les images {images} sur {count}. Essayez une confiance plus basse.",
    TOO_SMALL: "Visages écartés, plus petits que {size} px : {count}.",
    TOO_LARGE: "Visages écartés, plus grands que {size} px : {count}.",
    OUTSIDE_MASK: "Visages écartés, hors du masque : {count}.",
    NOT_SELECTED: "Visages écartés par la sélection : {count}.",
    UNPAINTED_MASK: "Le masque n'est pas peint (0 partout) : il ne limite pas la recherche de visages.",
    PREVIEW_LIMIT: "L'aperçu montre les {shown} premières images sur {count}.",
  },
});

/** @typedef {{ name: string, values: Record<string, string | number>, text: string }} Note */

/** Returns a note in the language. @param {Note} note @param {string} language */
export function noteText({ name, values, text }, language) {
  const template = (NOTE_TEXTS[language] ?? NOTE_TEXTS.en)[name];
  return template?.replace(/\{(\w+)\}/g, (_, key) => String(values[key])) ?? text;
}
