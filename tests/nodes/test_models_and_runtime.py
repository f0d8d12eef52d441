"""Test loaders, model folders, devices, memory, progress and cancellation."""

from __future__ import annotations

import inspect
import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from psfr_core.networks.inference.optimize import fastest_dtype

Run = Callable[..., Any]
Host = Callable[[str], Any]
ASSETS = Path(__file__).parents[2] / "psfr_core" / "assets"


def put(host: Host, name: str, *, source: str = "psfrgan_256.safetensors") -> Path:
    """Copy a bundled model to the path ``name`` in the folder ``models``."""
    path = Path(host("folder_paths").models_dir) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ASSETS / source, path)
    return path


def options(nodes: dict[str, Any], node_id: str, name: str) -> list[str]:
    return next(socket.options for socket in nodes[node_id].define_schema().inputs if socket.id == name)


def test_folders_are_added_after_those_of_other_packs(pack: Any, host: Host) -> None:
    folder_paths = host("folder_paths")
    folder_paths.folder_names_and_paths.clear()
    theirs = (["/from/yaml"], {".pth"})
    folder_paths.folder_names_and_paths.update(
        facerestore_models=theirs, psfrgan=(["/mine/psfrgan"], set()), checkpoints=(["/c"], {".ckpt"})
    )
    pack("nodes.model_folders").register_model_folders()
    models = Path(folder_paths.models_dir)
    assert folder_paths.folder_names_and_paths["facerestore_models"] is theirs
    assert theirs == (["/from/yaml", str(models / "facerestore_models")], {".pth"})
    assert folder_paths.get_folder_paths("psfrgan") == ["/mine/psfrgan", str(models / "psfrgan")]
    assert folder_paths.get_folder_paths("facedetection") == [str(models / "facedetection")]
    assert folder_paths.get_folder_paths("checkpoints") == ["/c"]


def test_files_in_the_folders_are_listed_and_loaded(nodes: dict[str, Any], run: Run, host: Host, pack: Any) -> None:
    put(host, "psfrgan/mine/g.safetensors")
    put(host, "facerestore_models/other.pth")
    put(host, "psfrgan/parser.safetensors", source="parsenet_256.safetensors")
    put(host, "facedetection/notes.txt")
    assert options(nodes, "PSFR_LoadGenerator", "generator") == [
        "psfrgan-256",
        "psfrgan-512-small",
        "psfrgan-512",
        "mine/g.safetensors",
        "other.pth",
    ]
    assert options(nodes, "PSFR_LoadFaceDetector", "detector") == [
        "compact-face",
        "retinaface-resnet50",
        "retinaface-mobile0.25",
    ]
    assert options(nodes, "PSFR_LoadFaceParser", "parser")[-1] == "parser.safetensors"
    hosted = run("PSFR_LoadGenerator", generator="mine/g.safetensors").args[0]
    assert hosted.network.config.size == 256


def test_a_file_of_another_network_is_not_offered_but_can_be_identified(
    nodes: dict[str, Any], run: Run, host: Host, pack: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Test that the loader names the type of the file, because saved workflows may contain its name."""
    path = Path(host("folder_paths").models_dir) / "facerestore_models" / "GFPGANv1.4.pth"
    path.parent.mkdir()
    torch.save({"params_ema": {"stylegan_decoder.style_mlp.1.weight": torch.ones(2, 2)}}, path)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert "GFPGANv1.4.pth" not in options(nodes, "PSFR_LoadGenerator", "generator")
    assert "GFPGANv1.4.pth" not in options(nodes, "PSFR_LoadModels", "parser")
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} is not offered in the model loaders: it is a GFPGAN restorer of a version before 1.3."
    ]
    assert nodes["PSFR_LoadGenerator"].validate_inputs(generator="GFPGANv1.4.pth") is True
    with pytest.raises(
        pack("psfr_core.errors").CheckpointError, match=r"is a GFPGAN restorer of .*, but a PSFR-GAN generator is"
    ):
        run("PSFR_LoadGenerator", generator="GFPGANv1.4.pth")


def test_a_file_is_inspected_once_until_it_changes(
    nodes: dict[str, Any], host: Host, pack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders, read = pack("nodes.model_folders"), []
    real = folders.read_tensor_names
    monkeypatch.setattr(folders, "read_tensor_names", lambda path: read.append(path) or real(path))
    path = put(host, "psfrgan/g.safetensors")
    for _ in range(3):
        assert "g.safetensors" in options(nodes, "PSFR_LoadModels", "generator")
        assert "g.safetensors" not in options(nodes, "PSFR_LoadModels", "parser")
    assert read == [path]
    put(host, "psfrgan/g.safetensors", source="parsenet_256.safetensors")
    assert "g.safetensors" in options(nodes, "PSFR_LoadModels", "parser")
    assert "g.safetensors" not in options(nodes, "PSFR_LoadModels", "generator")
    assert read == [path, path]


def test_only_the_file_in_the_first_folder_is_offered(nodes: dict[str, Any], host: Host) -> None:
    """Test that a name is offered only if the file that would be loaded fits."""
    put(host, "facerestore_models/x.safetensors")
    assert "x.safetensors" in options(nodes, "PSFR_LoadGenerator", "generator")
    put(host, "psfrgan/x.safetensors", source="parsenet_256.safetensors")
    assert "x.safetensors" not in options(nodes, "PSFR_LoadGenerator", "generator")


def test_the_model_folder_of_the_pack_is_created(
    pack: Any, host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    models = Path(host("folder_paths").models_dir)
    assert [path.name for path in models.iterdir()] == ["psfrgan"]
    (elsewhere := tmp_path / "other" / "psfrgan").mkdir(parents=True)
    monkeypatch.setattr(host("folder_paths"), "models_dir", str(tmp_path / "new"))
    host("folder_paths").folder_names_and_paths["psfrgan"] = ([str(elsewhere)], set())
    pack("nodes.model_folders").register_model_folders()
    assert not (tmp_path / "new").exists()  # because a folder from extra_model_paths.yaml exists


def test_a_folder_that_cannot_be_created_is_named(
    pack: Any, host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setattr(host("folder_paths"), "models_dir", str(tmp_path / "file"))
    host("folder_paths").folder_names_and_paths.clear()
    pack("nodes.model_folders").register_model_folders()
    assert (
        f"{tmp_path / 'file' / 'psfrgan'} cannot be created (Not a directory). Create it to add models." in caplog.text
    )


def test_known_files_are_found_in_the_folders_of_other_packs(run: Run, host: Host) -> None:
    put(host, "facedetection/parsing_parsenet.pth")
    (Path(host("folder_paths").models_dir) / "facedetection" / "parsing_parsenet.pth").unlink()
    path = put(host, "facedetection/parsing_parsenet.safetensors", source="parsenet_256.safetensors")
    assert run("PSFR_LoadFaceParser", parser="parsenet-512").args[0].network.config.size == 256
    path.unlink()


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/passwd", "psfrgan/../../outside.safetensors"])
def test_names_outside_the_folders_are_rejected(run: Run, host: Host, pack: Any, name: str) -> None:
    put(host, "outside.safetensors")
    with pytest.raises(
        pack("psfr_core.errors").ModelNotFoundError, match=r"There is no generator file .* in .*psfrgan"
    ):
        run("PSFR_LoadGenerator", generator=name)


def test_file_names_of_known_models_are_accepted(run: Run, host: Host, pack: Any) -> None:
    """Test the file names in workflows whose models the frontend offers to download."""
    error = pack("psfr_core.errors").ModelNotFoundError
    with pytest.raises(error, match=r"parsenet-512 is not on this machine: .* Or switch on 'download'"):
        run("PSFR_LoadFaceParser", parser="parsing_parsenet.pth")
    put(host, "psfrgan/parsing_parsenet.safetensors", source="parsenet_256.safetensors")  # the converted copy
    assert run("PSFR_LoadFaceParser", parser="parsing_parsenet.pth").args[0].network.config.size == 256


def test_the_error_of_a_missing_model_says_how_to_get_it(run: Run, host: Host, pack: Any) -> None:
    error = pack("psfr_core.errors").ModelNotFoundError
    with pytest.raises(error) as missing:
        run("PSFR_LoadModels", preset="published 512")
    generator, parser, detector = str(missing.value).split("\n\n")  # one paragraph per missing model
    assert re.search(
        r"psfrgan_epoch15_net_G.pth was not found in .*psfrgan.*Download it from .*github.*these folders\. Or switch on 'download'",
        generator,
    )
    assert "psfr download" not in generator
    assert "parsenet-512" in parser
    assert "retinaface-resnet50" in detector
    with pytest.raises(
        error, match=r"facedetection.*Download it from .*parsing_parsenet.pth.* Or switch on 'download'"
    ):
        run("PSFR_LoadFaceParser", parser="parsenet-512")


def test_broken_and_wrong_files_are_named(run: Run, host: Host, pack: Any) -> None:
    broken = put(host, "psfrgan/broken.safetensors")
    broken.write_bytes(broken.read_bytes()[:1000])
    put(host, "psfrgan/parser.safetensors", source="parsenet_256.safetensors")
    error = pack("psfr_core.errors").CheckpointError
    with pytest.raises(error, match=r"broken.safetensors"):
        run("PSFR_LoadGenerator", generator="broken.safetensors")
    with pytest.raises(error, match=r"parser.safetensors is a .*but a PSFR-GAN generator is needed"):
        run("PSFR_LoadGenerator", generator="parser.safetensors")


def test_a_loader_runs_again_only_if_its_file_changes(nodes: dict[str, Any], host: Host) -> None:
    node = nodes["PSFR_LoadModels"]
    chosen = {"preset": "custom", "generator": "g.safetensors", "parser": "parsenet-256", "detector": "compact-face"}
    missing = node.fingerprint_inputs(**chosen)
    path = put(host, "psfrgan/g.safetensors")
    first = node.fingerprint_inputs(**chosen)
    assert first != missing
    assert node.fingerprint_inputs(**chosen, precision="float16") == first
    path.write_bytes(b"another")
    assert node.fingerprint_inputs(**chosen) != first
    bundled = node.fingerprint_inputs(**(chosen | {"preset": "bundled 256"}))
    assert "g.safetensors" not in bundled


@pytest.mark.parametrize(
    ("node_id", "name"),
    [
        ("PSFR_LoadModels", "generator"),
        ("PSFR_LoadModels", "parser"),
        ("PSFR_LoadModels", "detector"),
        ("PSFR_LoadGenerator", "generator"),
        ("PSFR_LoadFaceParser", "parser"),
        ("PSFR_LoadFaceDetector", "detector"),
        ("PSFR_LoadFaceRestorer", "restorer"),
        ("PSFR_CompareImages", "lpips_features"),
        ("PSFR_CompareImages", "lpips_heads"),
    ],
)
def test_a_rewritten_file_is_read_again(nodes: dict[str, Any], host: Host, node_id: str, name: str) -> None:
    """Test that size and time are both checked: trained files can have equal sizes, and copied files equal times."""
    path, node = put(host, "psfrgan/mine.safetensors"), nodes[node_id]
    chosen = {"preset": "custom"} if node_id == "PSFR_LoadModels" else {}
    chosen[name] = "mine.safetensors"
    first, stat = node.fingerprint_inputs(**chosen), path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))
    assert node.fingerprint_inputs(**chosen) != first
    path.write_bytes(b"another")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert node.fingerprint_inputs(**chosen) != first


def test_linked_inputs_do_not_make_a_loader_run_again(nodes: dict[str, Any], host: Host) -> None:
    """Test fingerprint_inputs with None, which ComfyUI passes for linked inputs. If it raises, the node runs again."""
    put(host, "psfrgan/g.safetensors")
    node, linked = nodes["PSFR_LoadModels"], {"generator": None, "parser": None, "detector": None}
    nothing = node.fingerprint_inputs(preset=None, generator="g.safetensors", parser=None, detector=None)
    assert nothing == node.fingerprint_inputs(preset="custom", **linked) == ""
    assert "g.safetensors" in node.fingerprint_inputs(**(linked | {"preset": "custom", "generator": "g.safetensors"}))
    assert nodes["PSFR_LoadGenerator"].fingerprint_inputs(generator=None) == ""
    assert nodes["PSFR_CompareImages"].fingerprint_inputs(lpips_features=None, lpips_heads="none") == ""


@pytest.mark.parametrize(
    ("node_id", "names"),
    [
        ("PSFR_LoadModels", ["generator", "parser", "detector"]),
        ("PSFR_LoadGenerator", ["generator"]),
        ("PSFR_LoadFaceParser", ["parser"]),
        ("PSFR_LoadFaceDetector", ["detector"]),
        ("PSFR_LoadFaceRestorer", ["restorer"]),
    ],
)
def test_unlisted_names_reach_the_loader(nodes: dict[str, Any], node_id: str, names: list[str]) -> None:
    """Test the arguments of validate_inputs. ComfyUI does not check these inputs, and omits linked inputs in the call."""
    validate = nodes[node_id].validate_inputs
    assert inspect.getfullargspec(validate).args == ["cls", *names]
    assert validate(**dict.fromkeys(names, "parsing_parsenet.pth")) is True
    assert validate() is True


def test_networks_are_loaded_with_memory_for_their_batches(
    run: Run, models: dict[str, Any], portrait: Tensor, host: Host, pack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("nodes.runtime", "nodes.detect_faces"):
        monkeypatch.setattr(pack(module), "batch_limit", lambda: 4)
    patchers = {name: models[name].patcher for name in ("generator", "parser", "detector")}
    crops = torch.rand(6, 256, 256, 3)
    run("PSFR_RestoreFacesInImage", image=portrait, **models)
    run("PSFR_DetectFaces", image=portrait, detector=models["detector"])
    run("PSFR_ParseFaces", crops=crops, parser=models["parser"])
    assert host("comfy.model_management").loaded == [
        (list(patchers.values()), 4 * 2**29),  # the image may have many faces
        ([patchers["detector"]], 2**29),
        ([patchers["parser"]], 4 * 256**2 * 6 * 64 * 4),
    ]
    assert {patcher.offload_device.type for patcher in patchers.values()} == {"cpu"}


def test_networks_that_comfyui_does_not_load_are_moved_and_moved_back(
    models: dict[str, Any], host: Host, pack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Test the case of --novram, which loads nothing in advance. The device is meta, because every machine has it."""
    monkeypatch.setattr(host("comfy.model_management"), "load_models_gpu", lambda *_, **__: None)
    generator = models["generator"]
    generator.patcher.load_device = torch.device("meta")
    moves: list[torch.device] = []
    monkeypatch.setattr(generator.network, "to", moves.append)
    with pack("nodes.runtime").on_device(generator):
        assert moves == [torch.device("meta")]
    assert moves == [torch.device("meta"), torch.device("cpu")]


@pytest.mark.parametrize(("forced", "expected"), [(False, fastest_dtype("cpu")), (True, torch.float32)])
def test_auto_precision_on_a_cpu_is_the_fastest_unless_float32_is_forced(
    run: Run, host: Host, monkeypatch: pytest.MonkeyPatch, forced: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(host("comfy.model_management"), "FORCE_FP32", forced, raising=False)
    generator, parser, _ = run("PSFR_LoadModels", precision="auto").args
    assert generator.network.small.const_input.dtype == generator.network.large.const_input.dtype == expected
    assert next(parser.network.parameters()).dtype == expected


@pytest.mark.parametrize(
    ("precision", "prefers", "expected"),
    [
        ("auto", "", torch.float32),
        ("auto", "should_use_fp16", torch.float16),
        ("auto", "should_use_bf16", torch.bfloat16),
        ("float32", "should_use_fp16", torch.float32),
        ("float16", "", torch.float16),
    ],
)
def test_networks_get_the_chosen_precision(
    run: Run, host: Host, monkeypatch: pytest.MonkeyPatch, precision: str, prefers: str, expected: torch.dtype
) -> None:
    monkeypatch.setattr(host("comfy.model_management"), "is_device_cpu", lambda device: False)
    if prefers:
        monkeypatch.setattr(host("comfy.model_management"), prefers, lambda device: True)
    generator, parser, detector = run("PSFR_LoadModels", precision=precision).args
    assert generator.network.small.const_input.dtype == generator.network.large.const_input.dtype == expected
    assert next(parser.network.parameters()).dtype == expected
    assert next(detector.network.parameters()).dtype == torch.float32


def test_bfloat16_restores_nearly_the_same(run: Run, portrait: Tensor) -> None:
    sockets = ("generator", "parser", "detector")
    exact, rounded = (
        run(
            "PSFR_RestoreFacesInImage",
            image=portrait,
            **dict(zip(sockets, run("PSFR_LoadModels", precision=precision).args, strict=True)),
        ).args[0]
        for precision in ("float32", "bfloat16")
    )
    assert rounded.dtype == torch.float32
    assert 0 < (exact - rounded).square().mean() < 1e-4  # more than 40 dB


def test_progress_counts_parsed_and_restored_faces_of_each_frame(
    run: Run, models: dict[str, Any], portrait: Tensor, host: Host
) -> None:
    batch = torch.cat([portrait, torch.zeros_like(portrait), portrait])
    run("PSFR_RestoreFacesInImage", image=batch, **models)
    shown = [done for done, total in host("comfy.utils").shown if total == 3000]
    assert sorted(shown) == shown
    # The second image has no face and is finished together with the third one.
    assert list(dict.fromkeys(shown)) == [0, 500, 1000, 2000, 3000]


def test_the_progress_bar_moves_while_one_image_is_searched(
    run: Run, models: dict[str, Any], portrait: Tensor, host: Host
) -> None:
    shown = host("comfy.utils").shown
    shown.clear()
    run("PSFR_DetectFaces", image=portrait, detector=models["detector"], turned=True)
    searched, drawn = [done for done, _ in shown if done <= 1000], [done for done, _ in shown if done > 1000]
    assert len(set(searched)) > 12  # at least three sizes and four rotations
    assert (sorted(searched), drawn) == (searched, [2000])
    assert {total for _, total in shown} == {2000}


def cancelled_in_call(number: int, network: Any, management: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record the inputs of ``network``, and cancel during the call with the given number, counted from 1."""
    calls: list[Any] = []
    forward = network.forward

    def press_cancel(*inputs: Tensor) -> Any:
        calls.append(inputs)
        management.interrupted = len(calls) == number
        return forward(*inputs)

    monkeypatch.setattr(network, "forward", press_cancel)
    return calls


@pytest.mark.parametrize("node_id", ["PSFR_DetectFaces", "PSFR_RestoreFacesInImage"])
def test_cancel_stops_within_the_search_of_one_image(
    run: Run, models: dict[str, Any], portrait: Tensor, host: Host, monkeypatch: pytest.MonkeyPatch, node_id: str
) -> None:
    management = host("comfy.model_management")
    calls = cancelled_in_call(2, models["detector"].network, management, monkeypatch)
    inputs = {"detector": models["detector"]} if node_id == "PSFR_DetectFaces" else models
    with pytest.raises(management.InterruptProcessingException):
        run(node_id, image=portrait, **inputs)
    assert len(calls) == 2


@pytest.mark.parametrize(
    "node_id",
    ["PSFR_DetectFaces", "PSFR_AlignFaces", "PSFR_PasteFacesBack", "PSFR_DegradeImage", "PSFR_CompareImages"],
)
def test_cancel_stops_every_step_at_the_next_frame(
    run: Run, models: dict[str, Any], portrait: Tensor, host: Host, node_id: str
) -> None:
    batch = portrait.repeat(3, 1, 1, 1)
    faces = run("PSFR_DetectFaces", image=batch, detector=models["detector"]).args[0]
    inputs = {
        "PSFR_DetectFaces": {"detector": models["detector"]},
        "PSFR_AlignFaces": {"faces": faces},
        "PSFR_PasteFacesBack": {"faces": faces, "crops": batch},
        "PSFR_DegradeImage": {},
        "PSFR_CompareImages": {"reference": batch},
    }[node_id]
    shown = host("comfy.utils").shown
    shown.clear()
    host("comfy.model_management").interrupted = True
    with pytest.raises(host("comfy.model_management").InterruptProcessingException):
        run(node_id, image=batch, **inputs)
    assert shown == []  # the node stopped before it reported the first frame


@pytest.mark.parametrize("face", [1, 2])
def test_cancel_stops_before_the_next_face(
    run: Run, models: dict[str, Any], portrait: Tensor, host: Host, monkeypatch: pytest.MonkeyPatch, face: int
) -> None:
    management = host("comfy.model_management")
    calls = cancelled_in_call(face, models["generator"].network, management, monkeypatch)
    crops = portrait.repeat(3, 1, 1, 1)
    with pytest.raises(management.InterruptProcessingException):
        run("PSFR_RestoreAlignedFaces", crops=crops, generator=models["generator"], parser=models["parser"])
    assert len(calls) == face


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("[enforce fail] data. DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        MemoryError("Unable to allocate 9 bytes: there is no memory left"),
    ],
)
def test_out_of_memory_halves_the_batch_and_is_then_reported(
    pack: Any, host: Host, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    runtime = pack("nodes.runtime")
    monkeypatch.setattr(runtime, "batch_limit", lambda: 4)
    tried: list[int] = []

    def work(size: int, fits: int) -> str:
        tried.append(size)
        if size > fits:
            raise error
        return "done"

    assert runtime.with_smaller_batches(lambda size: work(size, 1)) == "done"
    assert tried == [4, 2, 1]
    with pytest.raises(torch.cuda.OutOfMemoryError, match="not enough memory for one image at a time.*memory"):
        runtime.with_smaller_batches(lambda size: work(size, 0))


def test_other_errors_are_not_tried_again(pack: Any, host: Host) -> None:
    tried: list[int] = []

    def work(size: int) -> None:
        tried.append(size)
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        pack("nodes.runtime").with_smaller_batches(work)
    assert tried == [1]
