"""Test the pack in a real ComfyUI through its API."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.comfyui

ROOT = Path(__file__).parents[2]
NODE_API: dict[str, Any] = json.loads((ROOT / "tests" / "nodes" / "node_api.json").read_text(encoding="utf-8"))
NEWER_NODES = {"ImageCompare", "Painter"}  # ComfyUI's nodes that not all supported versions have
Prompt = dict[str, dict[str, Any]]


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def restore_node(ours: Any, image: list[Any], **inputs: Any) -> dict[str, Any]:
    models = {"generator": ["m", 0], "parser": ["m", 1], "detector": ["m", 2]}
    return ours("PSFR_RestoreFacesInImage", image=image, **models, **inputs)


def error_of(comfy: Any, prompt: Prompt) -> str:
    """Return the error message of the node, or the message of the server if the server refuses the prompt."""
    try:
        return comfy.run(prompt).error
    except AssertionError as refused:
        return str(refused)


def test_the_pack_is_loaded_and_serves_all_files(comfy: Any) -> None:
    info = comfy.get_json("/object_info")
    assert {name for name in info if name.startswith("PSFR_")} == set(NODE_API)
    for name, api in NODE_API.items():
        given = info[name]["input"]
        assert [*given.get("required", {}), *given.get("optional", {})] == [*api["inputs"]]
        assert info[name]["output"] == api["outputs"]
        page = comfy.get(f"/extensions/psfr-gan/docs/{name}.md").decode()
        assert page.startswith("# ")
    assert {"en", "zh", "ja", "ko", "ru", "fr"} <= set(comfy.get_json("/i18n"))
    templates = comfy.get_json("/api/workflow_templates")["psfr-gan"]
    assert set(templates) == {path.stem for path in (ROOT / "examples").glob("*.json")}
    log = comfy.log.read_text(errors="replace")
    assert "IMPORT FAILED" not in log
    assert "Traceback" not in log.split("Starting server")[1]


def test_examples_run(comfy: Any, workflows: ModuleType, example: str) -> None:
    prompt = workflows.to_prompt(workflows.read(example))
    missing = {entry["class_type"] for entry in prompt.values()} - set(comfy.get_json("/object_info"))
    if missing:
        assert missing <= NEWER_NODES
        pytest.skip(f"this ComfyUI is too old for {', '.join(missing)}")
    if example == "12_after_diffusion":
        errors = json.loads(error_of(comfy, prompt))["node_errors"].values()
        assert [error["class_type"] for error in errors] == ["CheckpointLoaderSimple"]
        return
    if example == "14_published_512":
        words = "psfrgan-512 is not on this machine: psfrgan_epoch15_net_G.pth was not found in"
        assert words in error_of(comfy, prompt)
        return
    run = comfy.run(prompt)
    assert run.end == "execution_success", run.messages[-1]


def test_strength_0_keeps_the_image(comfy: Any, ours: Any, base: Prompt) -> None:
    prompt = base | {
        "r": restore_node(ours, ["i", 0], strength=0.0),
        "c": ours("PSFR_CompareImages", image=["r", 0], reference=["i", 0]),
        "p": node("PreviewAny", source=["c", 1]),
    }
    assert comfy.run(prompt).text("p") == "inf"


def test_only_changed_nodes_run_again(comfy: Any, ours: Any, base: Prompt) -> None:
    prompt = base | {"r": restore_node(ours, ["i", 0], strength=0.71), "s": node("PreviewImage", images=["r", 0])}
    comfy.run(prompt)
    assert comfy.run(prompt).cached >= {"m", "i", "r"}
    prompt["r"]["inputs"]["strength"] = 0.72
    run = comfy.run(prompt)
    assert {"m", "i"} <= run.cached
    assert "r" not in run.cached


def test_a_changed_model_file_is_loaded_again(comfy: Any, ours: Any, base: Prompt) -> None:
    target = comfy.base / "models" / "psfrgan" / "mine.safetensors"
    shutil.copy(ROOT / "psfr_core" / "assets" / "psfrgan_256.safetensors", target)
    chosen = {"preset": "custom", "generator": "mine.safetensors"}
    prompt = base | {"m": ours("PSFR_LoadModels", **chosen), "r": restore_node(ours, ["i", 0])}
    prompt["s"] = node("PreviewImage", images=["r", 0])
    assert comfy.run(prompt).end == "execution_success"
    assert "m" in comfy.run(prompt).cached
    target.write_bytes(target.read_bytes()[:5000])
    run = comfy.run(prompt)
    assert run.end == "execution_error"
    assert "mine.safetensors" in run.error
    shutil.copy(ROOT / "psfr_core" / "assets" / "psfrgan_256.safetensors", target)
    assert comfy.run(prompt).end == "execution_success"


def test_folders_of_extra_model_paths_are_searched(comfy: Any, ours: Any, base: Prompt) -> None:
    folder = comfy.base / "more models"
    folder.mkdir()
    shutil.copy(ROOT / "psfr_core" / "assets" / "psfrgan_256.safetensors", folder / "elsewhere.safetensors")
    prompt = base | {
        "m": ours("PSFR_LoadModels", preset="custom", generator="elsewhere.safetensors"),
        "r": restore_node(ours, ["i", 0]),
        "n": node("PreviewAny", source=["r", 2]),
    }
    assert comfy.run(prompt).text("n") == "1"


def test_unloading_all_models_does_not_change_the_result(comfy: Any, ours: Any, base: Prompt) -> None:
    prompt = base | {
        "r": restore_node(ours, ["i", 0], strength=0.83),
        "c": ours("PSFR_CompareImages", image=["r", 0], reference=["i", 0]),
        "p": node("PreviewAny", source=["c", 0]),
    }
    before = comfy.run(prompt).text("p")
    comfy.post("/free", {"unload_models": True, "free_memory": True})
    run = comfy.run(prompt)
    for _ in range(20):  # ComfyUI checks for this request once a second
        if not run.cached:
            break
        time.sleep(1)
        run = comfy.run(prompt)
    assert not run.cached
    assert run.text("p") == before
    assert "leak" not in comfy.log.read_text(errors="replace")


def test_cancel_stops_a_long_run_and_the_next_run_works(comfy: Any, ours: Any, base: Prompt) -> None:
    prompt = base | {
        "e": node("RepeatImageBatch", image=["i", 0], amount=64),
        "g": ours("PSFR_DegradeImage", image=["e", 0], seed=99),
        "r": restore_node(ours, ["g", 0]),
        "s": node("PreviewAny", source=["r", 2]),
    }
    prompt_id = comfy.queue(prompt)
    while not comfy.get_json("/queue")["queue_running"]:
        time.sleep(0.05)
    time.sleep(3)
    comfy.post("/interrupt", {})
    pressed = time.monotonic()
    run = comfy.wait(prompt_id)
    assert run.end == "execution_interrupted"
    assert time.monotonic() - pressed < 15  # the whole batch would take minutes
    assert comfy.run(base | {"s": node("PreviewAny", source=["d", 2])}).end == "execution_success"


def test_a_batch_of_64_frames_keeps_its_length(comfy: Any, ours: Any, base: Prompt) -> None:
    prompt = base | {
        "e": node("RepeatImageBatch", image=["i", 0], amount=64),
        "r": restore_node(ours, ["e", 0], faces="largest"),
        "c": ours("PSFR_CompareImages", image=["r", 0], reference=["e", 0]),
        "n": node("PreviewAny", source=["r", 2]),
    }
    run = comfy.run(prompt)
    assert run.end == "execution_success"
    assert run.text("n") == "64"


def test_a_video_is_restored_and_saved(comfy: Any, ours: Any, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    prompt = {
        "v": ours("PSFR_LoadExampleVideo"),
        "r": ours("PSFR_RestoreFacesInVideo", video=["v", 0]),
        "s": node("SaveVideo", video=["r", 0], filename_prefix="restored", format="auto", codec="auto"),
        "n": node("PreviewAny", source=["r", 2]),
        "c": node("GetVideoComponents", video=["v", 0]),
        "o": ours("PSFR_RestoreOptions", frames_are="one video"),
        "b": node("ImageFromBatch", image=["c", 0], batch_index=0, length=4),
        "i": ours("PSFR_RestoreFacesInImage", image=["b", 0], options=["o", 0]),
        "p": node("PreviewAny", source=["i", 3]),
        "w": node("CreateVideo", images=["i", 0], fps=25.0),
        "t": node("SaveVideo", video=["w", 0], filename_prefix="frames", format="auto", codec="auto"),
    }
    run = comfy.run(prompt)
    assert run.text("n") == "Faces followed and restored: 1, in 48 frames."
    assert run.text("p") == "Faces followed and restored: 1, in 4 frames."
    (preview,) = run.outputs["r"]["images"]
    assert preview["type"] == "temp"
    frames = {}
    for name in ("s", "t"):
        (saved,) = run.outputs[name]["images"]
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(comfy.get(f"/view?filename={saved['filename']}&subfolder={saved['subfolder']}&type=output"))
        with av.open(str(path)) as container:
            frames[name] = [frame.to_ndarray(format="rgb24").astype(float) for frame in container.decode(video=0)]
    assert (len(frames["s"]), len(frames["t"])) == (48, 4)
    assert abs(frames["s"][0] - frames["t"][0]).mean() < 4  # both ways restore alike


def test_an_8k_image_is_restored(comfy: Any, ours: Any, base: Prompt) -> None:
    prompt = base | {
        "x": ours("PSFR_LoadExampleImage", picture="solvay_conference_1927.jpg"),
        "u": node("ImageScale", image=["x", 0], upscale_method="bilinear", width=7680, height=2997, crop="disabled"),
        "o": ours("PSFR_RestoreOptions", max_faces=2),
        "r": restore_node(ours, ["u", 0], options=["o", 0]),
        "n": node("PreviewAny", source=["r", 2]),
    }
    run = comfy.run(prompt)
    assert run.end == "execution_success", run.messages[-1]
    assert run.text("n") == "2"


def test_faces_return_from_boxes_segs_and_masks(comfy: Any, ours: Any, base: Prompt) -> None:
    image = ["i", 0]
    prompt = base | {
        "chosen": ours("PSFR_SelectFaces", faces=["d", 0]),
        "boxes": ours("PSFR_BoxesToFaces", image=image, bounding_boxes=["chosen", 3]),
        "segs": ours("PSFR_FacesToSEGS", faces=["boxes", 0]),
        "faces": ours("PSFR_SEGSToFaces", image=image, segs=["segs", 0]),
        "mask": ours("PSFR_FacesToMask", faces=["faces", 0], scale=0.5),
        "painted": ours("PSFR_MaskToFaces", image=image, mask=["mask", 0]),
        "crops": ours("PSFR_AlignFaces", image=image, faces=["painted", 0]),
        "shown": node("PreviewImage", images=["crops", 0]),
    }
    run = comfy.run(prompt)
    assert run.end == "execution_success"
    for name in ("boxes", "faces", "painted"):
        assert [note["text"] for note in run.outputs[name]["psfr_notes"]] == ["Faces found: 1."]


def test_no_face_passes_through(comfy: Any, ours: Any, base: Prompt) -> None:
    prompt = base | {
        "e": node("EmptyImage", width=320, height=200, batch_size=2, color=8421504),
        "f": ours("PSFR_DetectFaces", image=["e", 0], detector=["m", 2]),
        "a": ours("PSFR_AlignFaces", image=["e", 0], faces=["f", 0]),
        "r": ours("PSFR_RestoreAlignedFaces", crops=["a", 0], generator=["m", 0], parser=["m", 1]),
        "b": ours("PSFR_PasteFacesBack", image=["e", 0], faces=["a", 1], crops=["r", 0]),
        "c": ours("PSFR_CompareImages", image=["b", 0], reference=["e", 0]),
        "p": node("PreviewAny", source=["c", 1]),
        "n": node("PreviewAny", source=["a", 2]),
    }
    run = comfy.run(prompt)
    assert run.end == "execution_success", run.messages[-1]
    assert (run.text("p"), run.text("n")) == ("inf", "0")


CROPS = {"a": ("PSFR_AlignFaces", {"image": ["i", 0], "faces": ["d", 0], "crop_size": 64})}
MAP = {**CROPS, "q": ("PSFR_ParseFaces", {"crops": ["a", 0], "parser": ["m", 1]})}
TWO = {"e": ("RepeatImageBatch", {"image": ["i", 0], "amount": 2})}


@pytest.mark.parametrize(
    ("before", "class_type", "inputs", "words"),
    [
        ({}, "PSFR_LoadModels", {"preset": "published 512"}, "is not on this machine"),
        ({}, "PSFR_LoadGenerator", {"generator": "parsenet-256"}, "parsenet-256 is a parser"),
        ({}, "PSFR_LoadFaceParser", {"parser": "../../../etc/passwd"}, "There is no parser file"),
        ({}, "PSFR_LoadFaceDetector", {"detector": "retinaface-resnet50"}, "switch on 'download'"),
        ({}, "PSFR_LoadExampleImage", {"picture": "../before_after.jpg"}, "Unknown example image"),
        (
            {},
            "PSFR_DetectFaces",
            {"image": ["i", 0], "detector": ["m", 2], "confidence": 1.0, "no_face": "error"},
            "No face in any image matches",
        ),
        ({}, "PSFR_SelectFaces", {"faces": ["d", 0], "indices": "first"}, "'first' is not a number or range"),
        (TWO, "PSFR_AlignFaces", {"image": ["e", 0], "faces": ["d", 0]}, "belong to 1 images, but got 2 images"),
        ({}, "PSFR_ParseFaces", {"crops": ["x", 0], "parser": ["m", 1]}, "Crops must be square"),
        (MAP, "PSFR_ParseMapToMask", {"parse_map": ["q", 0], "regions": "chin"}, "Unknown face region 'chin'"),
        (MAP, "PSFR_EditParseMap", {"parse_map": ["q", 0]}, "Connect a mask"),
        ({}, "PSFR_ImageToParseMap", {"image": ["i", 0]}, "does not belong to any face region"),
        (CROPS, "PSFR_RestoreAlignedFaces", {"crops": ["a", 0], "generator": ["m", 0]}, "needs a parse map"),
        (
            TWO,
            "PSFR_PasteFacesBack",
            {"image": ["i", 0], "faces": ["d", 0], "crops": ["e", 0]},
            "There are 1 faces but 2 crops",
        ),
        ({}, "PSFR_PasteOptions", {"regions": "nothing"}, "Unknown face region 'nothing'"),
        ({}, "PSFR_RestoreOptions", {"indices": "2-1"}, "runs backwards"),
        ({}, "PSFR_DegradationOptions", {"jpeg_quality_low": 99.0}, "jpeg_quality must be"),
        ({}, "PSFR_CompareImages", {"image": ["i", 0], "reference": ["x", 0]}, "same shape"),
        (
            {},
            "PSFR_CompareImages",
            {"image": ["i", 0], "reference": ["i", 0], "lpips_heads": "x.pth"},
            "LPIPS needs two files",
        ),
    ],
)
def test_invalid_inputs_give_clear_errors(
    comfy: Any, ours: Any, base: Prompt, before: Any, class_type: str, inputs: dict[str, Any], words: str
) -> None:
    prompt = base | {name: ours(kind, **given) for name, (kind, given) in before.items()}
    prompt["x"] = node("EmptyImage", width=100, height=80, batch_size=1, color=255)
    prompt["bad"] = ours(class_type, **inputs)
    prompt["end"] = node("PreviewAny", source=["bad", 0])
    # Newer versions of ComfyUI check combos before they run the node.
    error = error_of(comfy, prompt)
    assert words in error or "value_not_in_list" in error


def test_errors_have_titles_in_words(comfy: Any, ours: Any, base: Prompt) -> None:
    missing = ours("PSFR_LoadModels", preset="published 512")
    run = comfy.run(base | {"missing": missing, "end": node("PreviewAny", source=["missing", 0])})
    assert run.error_type == "Missing model"
