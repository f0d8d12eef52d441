"""Test the nodes with videos and with batches of frames."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("av")

CLIPS = Path(__file__).parents[1] / "video" / "clips.py"


@pytest.fixture(scope="session")
def clips(load_module: Callable[[str, Path], ModuleType]) -> ModuleType:
    return load_module("clips", CLIPS)


@pytest.fixture
def clip(clips: ModuleType, portrait: Tensor, tmp_path: Path) -> Path:
    """Write a clip of six frames of the portrait, with noise and sound."""
    noise = torch.randn(6, 256, 256, 3, generator=torch.Generator().manual_seed(0))
    pixels = ((portrait + 0.03 * noise).clamp(0, 1) * 255).byte().numpy()
    frames = [clips.av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p") for frame in pixels]
    return clips.write_clip(tmp_path / "clip.mp4", frames, codec="libx264", sound="aac")


@pytest.fixture
def file_of(pack: Callable[[str], ModuleType]) -> Any:
    return getattr(pack("nodes.restore_video"), "_file_of")  # noqa: B009


def video_of(host: Callable[[str], ModuleType], source: Any) -> Any:
    return host("comfy_api.latest").InputImpl.VideoFromFile(source)


@pytest.mark.slow
@pytest.mark.parametrize("in_memory", [False, True])
def test_a_video_is_restored_through_a_temporary_file(
    run: Callable[..., Any],
    host: Callable[[str], ModuleType],
    models: dict[str, Any],
    clips: ModuleType,
    clip: Path,
    tmp_path: Path,
    in_memory: bool,
) -> None:
    source = BytesIO(clip.read_bytes()) if in_memory else str(clip)
    output = run("PSFR_RestoreFacesInVideo", video=video_of(host, source), **models)
    video, count, report = output.args
    restored = Path(video.get_stream_source())
    assert list((tmp_path / "temp").iterdir()) == [restored]
    assert (count, report) == (1, "Faces followed and restored: 1, in 6 frames.")
    assert output.ui["images"] == [{"filename": restored.name, "subfolder": "", "type": "temp"}]
    assert output.ui["animated"] == (True,)
    assert len(clips.packets(restored, "audio")) == len(clips.packets(clip, "audio")) > 5
    before, after = (
        torch.stack([torch.from_numpy(frame.to_ndarray(format="rgb24")).float() for frame in clips.decoded(path)])
        for path in (clip, restored)
    )
    assert after.shape == (6, 256, 256, 3)
    face = (slice(None), slice(90, 150), slice(90, 160))
    assert float(after[face].diff(dim=0).abs().mean()) < 0.6 * float(before[face].diff(dim=0).abs().mean())
    assert float((after - before)[face].abs().mean()) > 2
    assert host("comfy.utils").shown[-1] == (12, 12)  # both passes


@pytest.mark.parametrize(
    "edits",
    [
        {"has_pending_frame_edits": lambda: True},
        {"get_dimensions": lambda: (100, 256)},
        {"get_duration": lambda: 0.16},  # one of the six frames is trimmed
    ],
    ids=["pending edits", "cropped", "trimmed"],
)
def test_an_edited_video_is_restored_and_not_its_file(
    host: Callable[[str], ModuleType], file_of: Any, clip: Path, tmp_path: Path, edits: Any
) -> None:
    video = video_of(host, str(clip))
    with file_of(video) as path:
        assert path == clip
    vars(video).update(edits, save_to=lambda path: Path(path).write_bytes(b"edited"))
    with file_of(video) as path:
        assert path.read_bytes() == b"edited"
    assert list((tmp_path / "temp").iterdir()) == []


def test_a_video_without_a_file_is_encoded_once(
    file_of: Any, tmp_path: Path, host: Callable[[str], ModuleType]
) -> None:
    class FromFrames:
        def save_to(self, path: str) -> None:
            Path(path).write_bytes(b"encoded")

    with file_of(FromFrames()) as path:
        assert path.read_bytes() == b"encoded"


def test_a_video_in_memory_is_not_encoded_again(host: Callable[[str], ModuleType], file_of: Any, clip: Path) -> None:
    video = video_of(host, BytesIO(clip.read_bytes()))
    video.save_to = lambda _: pytest.fail("the video is remuxed, which rounds its times")
    with file_of(video) as path:
        assert path.read_bytes() == clip.read_bytes()


def test_a_video_that_comfyui_cannot_write_is_explained(pack: Callable[[str], ModuleType], file_of: Any) -> None:
    class OfOddSize:
        def save_to(self, path: str) -> None:
            raise ValueError("width not divisible by 2")

    error: Any = pack("psfr_core.errors").VideoFileError
    message = (
        "cannot write this video to a file: width not divisible by 2. If it comes from Create Video, use RGB images"
    )
    with (
        pytest.raises(error, match=message),
        file_of(OfOddSize()),
    ):
        pass


@pytest.mark.parametrize("source", ["missing.mp4", BytesIO(b"no video")], ids=["missing", "damaged"])
def test_an_unreadable_video_is_explained(
    run: Callable[..., Any],
    host: Callable[[str], ModuleType],
    pack: Callable[[str], ModuleType],
    models: dict[str, Any],
    source: Any,
) -> None:
    with pytest.raises(
        pack("psfr_core.errors").VideoFileError, match=r"missing\.mp4 does not exist|cannot be opened as a video"
    ):
        run("PSFR_RestoreFacesInVideo", video=video_of(host, source), **models)


def test_a_video_without_a_face_names_the_settings_of_the_nodes(
    run: Callable[..., Any],
    host: Callable[[str], ModuleType],
    pack: Callable[[str], ModuleType],
    models: dict[str, Any],
    clip: Path,
) -> None:
    options = run("PSFR_RestoreOptions", no_face="error", min_size=5000).args[0]
    with pytest.raises(
        pack("psfr_core.errors").NoFaceError, match="Lower confidence or min_size, or set no_face to keep"
    ):
        run("PSFR_RestoreFacesInVideo", video=video_of(host, str(clip)), **models, options=options)


def test_sound_that_mp4_cannot_hold_is_kept_in_another_container(
    run: Callable[..., Any],
    host: Callable[[str], ModuleType],
    models: dict[str, Any],
    clips: ModuleType,
    tmp_path: Path,
) -> None:
    frames = [clips.random_frame("yuv420p", seed) for seed in range(2)]
    source = clips.write_clip(tmp_path / "a.mkv", frames, codec="libx264", sound="wavpack")
    video = run("PSFR_RestoreFacesInVideo", video=video_of(host, str(source)), **models).args[0]
    restored = Path(video.get_stream_source())
    assert restored.suffix == ".mkv"
    assert clips.packets(restored, "audio") == clips.packets(source, "audio")


def test_cancel_leaves_no_file(
    run: Callable[..., Any],
    host: Callable[[str], ModuleType],
    models: dict[str, Any],
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    management: Any = host("comfy.model_management")
    monkeypatch.setattr(management, "interrupted", True)
    with pytest.raises(management.InterruptProcessingException):
        run("PSFR_RestoreFacesInVideo", video=video_of(host, str(clip)), **models)
    assert list((tmp_path / "temp").glob("*")) == []


@pytest.mark.slow
def test_frames_of_one_video_are_restored_together(
    run: Callable[..., Any], models: dict[str, Any], portrait: Tensor
) -> None:
    noise = torch.randn(4, *portrait.shape[1:], generator=torch.Generator().manual_seed(0))
    frames = (portrait + 0.03 * noise).clamp(0, 1)
    together = run("PSFR_RestoreOptions", frames_are="one video").args[0]
    single = run("PSFR_RestoreFacesInImage", image=frames, **models, options=run("PSFR_RestoreOptions").args[0])
    steady = run("PSFR_RestoreFacesInImage", image=frames, **models, options=together)
    assert (single.args[2], steady.args[2]) == (4, 4)
    assert steady.args[3] == "Faces followed and restored: 1, in 4 frames."
    assert steady.args[0].shape == frames.shape
    assert steady.args[1].shape == frames.shape[:3]
    inside = (single.args[1] > 0.9).all(0) & (steady.args[1] > 0.9).all(0)
    flicker = [float(result.args[0].diff(dim=0)[:, inside].abs().mean()) for result in (single, steady)]
    assert flicker[1] < 0.6 * flicker[0]
    large = run("PSFR_RestoreOptions", frames_are="one video", min_size=1000.0).args[0]
    report = run("PSFR_RestoreFacesInImage", image=frames, **models, options=large).args[3]
    assert report.split("\n")[1:] == ["Faces left out, smaller than 1000 px: 1."]
    outside = steady.args[1] == 0
    assert torch.equal(steady.args[0][outside], frames[outside])


@pytest.mark.slow
def test_faces_of_several_images_share_a_batch(
    run: Callable[..., Any],
    pack: Callable[[str], ModuleType],
    models: dict[str, Any],
    portrait: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = torch.cat([portrait, portrait.flip(2), torch.zeros_like(portrait), portrait * 0.9])
    alone = run("PSFR_RestoreFacesInImage", image=images, **models)
    sizes: list[int] = []
    network = models["generator"].network
    network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    for module in ("nodes.runtime", "nodes.restore_batch"):
        monkeypatch.setattr(pack(module), "batch_limit", lambda: 8)
    together = run("PSFR_RestoreFacesInImage", image=images, **models)
    assert sizes == [3]
    assert torch.allclose(together.args[0], alone.args[0], atol=1e-3)
    assert together.args[2:] == alone.args[2:]
    assert together.args[2] == 3


@pytest.mark.slow
def test_faces_are_followed_and_chosen_by_track(
    run: Callable[..., Any], models: dict[str, Any], portrait: Tensor
) -> None:
    noise = torch.randn(12, *portrait.shape[1:], generator=torch.Generator().manual_seed(0))
    frames = (portrait + 0.08 * noise).clamp(0, 1)
    faces = run("PSFR_DetectFaces", image=frames, detector=models["detector"]).args[0]
    tracked, count = run("PSFR_TrackFaces", image=frames, faces=faces).args
    assert count == 1
    assert [len(of_frame) for of_frame in tracked.frames] == [1] * 12
    crops, steady = (
        run("PSFR_AlignFaces", image=frames, faces=each, crop_size=128).args[1] for each in (faces, tracked)
    )
    jitter = [
        float(torch.stack([face.landmarks for (face,) in each.frames]).diff(dim=0).norm(dim=2).mean())
        for each in (crops, steady)
    ]
    assert jitter[1] < 0.5 * jitter[0]
    assert run("PSFR_TrackFaces", image=frames, faces=faces, tracks="1-").args[1] == 0
