"""Test Restore Faces in Image without loaders, and its reports, in a real ComfyUI."""

from __future__ import annotations

from typing import Any

import pytest
from safetensors.torch import save_file

pytestmark = pytest.mark.comfyui

Prompt = dict[str, dict[str, Any]]
FACE = (127, 138)  # center of the face in the portrait, pixels
SQUARE = 40  # side of a painted square, pixels; 29 % of the face's width


@pytest.fixture
def restored(comfy: Any, ours: Any) -> Any:
    """Return a function that restores the portrait. It returns the report, and the PSNR of the result and the portrait."""

    def restore(more: Prompt | None = None, **inputs: Any) -> tuple[str, str]:
        prompt = {
            "i": ours("PSFR_LoadExampleImage", picture="portrait_low_quality.jpg"),
            "r": ours("PSFR_RestoreFacesInImage", **{"image": ["i", 0]} | inputs),
            "report": ours("PreviewAny", source=["r", 3]),
            "compare": ours("PSFR_CompareImages", image=["r", 0], reference=["i", 0]),
            "psnr": ours("PreviewAny", source=["compare", 1]),
            **(more or {}),
        }
        run = comfy.run(prompt)
        assert run.end == "execution_success", run.messages[-1]
        return run.text("report"), run.text("psnr")

    return restore


def test_the_node_needs_no_loader_and_uses_the_bundled_models(restored: Any, ours: Any) -> None:
    unconnected = restored()
    loaded = restored(
        {"m": ours("PSFR_LoadModels", preset="bundled")},
        generator=["m", 0],
        parser=["m", 1],
        detector=["m", 2],
    )
    assert unconnected == loaded
    assert unconnected[0] == "Faces restored: 1."
    assert 20 < float(unconnected[1]) < 40


def painted(ours: Any, x: int, y: int, side: int = 256) -> Prompt:
    """Return nodes that paint a square around (x, y), in pixels of the portrait, into the mask ``mask`` of side ``side``."""
    scale = side // 256
    corner = {"x": scale * (x - SQUARE // 2), "y": scale * (y - SQUARE // 2)}
    return {
        "empty": ours("SolidMask", value=0.0, width=side, height=side),
        "square": ours("SolidMask", value=1.0, width=scale * SQUARE, height=scale * SQUARE),
        "mask": ours("MaskComposite", destination=["empty", 0], source=["square", 0], operation="add", **corner),
    }


@pytest.mark.parametrize("side", [256, 1024])
def test_a_square_painted_in_the_middle_of_a_face_selects_the_face(restored: Any, ours: Any, side: int) -> None:
    assert restored(painted(ours, *FACE, side), mask=["mask", 0])[0] == "Faces restored: 1."


def test_a_square_painted_elsewhere_leaves_the_face_out(restored: Any, ours: Any) -> None:
    report = restored(painted(ours, 20, 230), mask=["mask", 0])
    assert report == ("Faces left out, outside the mask: 1.", "inf")


def test_an_unpainted_mask_does_not_restrict(restored: Any, ours: Any) -> None:
    report, _ = restored({"mask": ours("SolidMask", value=0.0, width=256, height=256)}, mask=["mask", 0])
    assert "The mask is unpainted" in report
    assert "Faces restored: 1." in report


def test_the_report_names_the_images_without_a_face(comfy: Any, ours: Any) -> None:
    prompt = {
        "i": ours("PSFR_LoadExampleImage", picture="portrait_low_quality.jpg"),
        "e": ours("EmptyImage", width=256, height=256, color=8421504),
        "b": ours("ImageBatch", image1=["e", 0], image2=["i", 0]),
        "r": ours("PSFR_RestoreFacesInImage", image=["b", 0]),
        "p": ours("PreviewAny", source=["r", 3]),
    }
    run = comfy.run(prompt)
    expected = ["Faces restored: 1.", "No face found in images 1 of 2. Try a lower confidence."]
    assert run.text("p").split("\n") == expected
    assert [note["text"] for note in run.outputs["r"]["psfr_notes"]] == expected
    log = comfy.log.read_text(errors="replace")
    assert all(line in log for line in expected)


@pytest.mark.parametrize(
    ("options", "report"),
    [
        ({"min_size": 200.0}, "Faces left out, smaller than 200 px: 1."),
        ({"max_size": 50.0}, "Faces left out, larger than 50 px: 1."),
        ({"indices": "1-"}, "Faces left out by the selection: 1."),
        ({"indices": "-1"}, "Faces restored: 1."),
    ],
)
def test_the_report_says_why_faces_are_left_out(restored: Any, ours: Any, options: dict[str, Any], report: str) -> None:
    assert restored({"o": ours("PSFR_RestoreOptions", **options)}, options=["o", 0])[0] == report


def test_strength_0_of_all_regions_keeps_the_photo(restored: Any, ours: Any, comfy: Any) -> None:
    inputs = comfy.get_json("/object_info/PSFR_PasteOptions")["PSFR_PasteOptions"]["input"]
    sliders = [name for name in inputs["optional"] if name.endswith("_strength")]
    assert {"skin_strength", "eyes_strength", "mouth_strength", "hair_strength"} < set(sliders)
    assert all(inputs["optional"][name][1]["display"] == "slider" for name in sliders)
    paste = ours("PSFR_PasteOptions", **dict.fromkeys(sliders, 0.0))
    options = {"p": paste, "o": ours("PSFR_RestoreOptions", paste=["p", 0])}
    assert restored(options, options=["o", 0])[1] == "inf"
    paste["inputs"]["eyes_strength"] = 1.0
    assert 30 < float(restored(options, options=["o", 0])[1]) < 60


def test_automatic_strength_keeps_a_sharp_face(comfy: Any, ours: Any) -> None:
    prompt = {
        "i": ours("PSFR_LoadExampleImage", picture="portrait_clean.jpg"),
        "o": ours("PSFR_RestoreOptions", automatic_strength=True),
        "r": ours("PSFR_RestoreFacesInImage", image=["i", 0], options=["o", 0]),
        "c": ours("PSFR_CompareImages", image=["r", 0], reference=["i", 0]),
        "p": ours("PreviewAny", source=["c", 1]),
    }
    assert float(comfy.run(prompt).text("p")) > 45
    prompt["r"]["inputs"].pop("options")
    assert float(comfy.run(prompt).text("p")) < 40


def test_a_restorer_of_other_authors_takes_the_place_of_the_generator(restored: Any, ours: Any, comfy: Any) -> None:
    spandrel: Any = pytest.importorskip("spandrel", reason="needs the package spandrel")
    sizes = {"ch": 32, "ch_mult": (1, 1, 1, 1, 1, 1), "num_res_blocks": 1}
    network = spandrel.architectures.RestoreFormer.RestoreFormer(n_embed=8, embed_dim=32, z_channels=32, **sizes)
    folder = comfy.base / "models" / "facerestore_models"
    folder.mkdir(exist_ok=True)
    save_file(
        {name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / "random.safetensors"
    )
    required = comfy.get_json("/object_info/PSFR_LoadFaceRestorer")["PSFR_LoadFaceRestorer"]["input"]["required"]
    offered = (
        required["restorer"][0] if isinstance(required["restorer"][0], list) else required["restorer"][1]["options"]
    )
    assert offered == ["random.safetensors"]
    report, psnr = restored({"f": ours("PSFR_LoadFaceRestorer", restorer="random.safetensors")}, generator=["f", 0])
    assert report == "Faces restored: 1."
    assert 5 < float(psnr) < 35


@pytest.mark.parametrize("words", ["old photo", "upscale face", "deblur face", "restoration", "face restoration"])
def test_usual_searches_find_only_this_node(comfy: Any, words: str) -> None:
    info = comfy.get_json("/object_info")
    if "search_aliases" not in info["PSFR_RestoreFacesInImage"]:
        pytest.skip("this ComfyUI has no search aliases")
    assert [name for name, node in info.items() if words in (node["search_aliases"] or [])] == [
        "PSFR_RestoreFacesInImage"
    ]


def test_gray_photos_stay_gray(comfy: Any, ours: Any) -> None:
    prompt = {
        "x": ours("PSFR_LoadExampleImage", picture="solvay_conference_1927.jpg"),
        "i": ours("ImageCrop", image=["x", 0], width=400, height=400, x=1350, y=180),
        "r": ours("PSFR_RestoreFacesInImage", image=["i", 0]),
        "report": ours("PreviewAny", source=["r", 3]),
    }
    for color in ("red", "blue"):
        prompt[f"{color} mask"] = ours("ImageToMask", image=["r", 0], channel=color)
        prompt[color] = ours("MaskToImage", mask=[f"{color} mask", 0])
    prompt["compare"] = ours("PSFR_CompareImages", image=["red", 0], reference=["blue", 0])
    prompt["psnr"] = ours("PreviewAny", source=["compare", 1])
    run = comfy.run(prompt)
    assert run.text("report").startswith("Faces restored: ")
    assert run.text("psnr") == "inf"
