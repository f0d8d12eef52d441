from __future__ import annotations

from pathlib import Path

import pytest
import torch

from psfr_core.errors import ImageFileError, InputError, OptionError
from psfr_core.images.io import ImageFile, write_image
from psfr_core.lab.evaluation.sources import DegradedFaces, RestoredFaces, ResultFolder
from psfr_core.lab.evaluation.stage import Stage
from psfr_core.networks.parse_net import ParseNet, ParseNetConfig
from psfr_core.networks.psfr_generator import GeneratorConfig, PsfrGenerator
from psfr_core.parsing.parser import parse_faces
from psfr_core.restoration.color_match import ColorMatch, match_colors
from psfr_core.restoration.enhance import enhance_faces


def write(path: Path, value: float, side: int = 16) -> Path:
    path.parent.mkdir(exist_ok=True)
    write_image(path, ImageFile(torch.full((3, side, side), value)))
    return path


def test_results_are_loaded_with_their_reference_and_input(tmp_path: Path) -> None:
    for folder, value in (("results", 0.4), ("references", 0.6), ("inputs", 0.2)):
        write(tmp_path / folder / "a.png", value)
    write(tmp_path / "references" / "b.png", 0.0)
    without_inputs = ResultFolder(tmp_path / "results", tmp_path / "references")
    assert without_inputs.stages == (Stage.RESULT,)
    assert without_inputs.left_out == ["b.png"]
    source = ResultFolder(tmp_path / "results", tmp_path / "references", tmp_path / "inputs")
    assert source.stages == (Stage.BEFORE, Stage.RESULT)
    (path,) = source.names
    sample = source.load(path)
    assert tuple(sample.images) == source.stages
    values = [image.mean().item() for image in (sample.reference, *sample.images.values())]
    assert values == pytest.approx([0.6, 0.2, 0.4], abs=1e-6)


def test_the_suffix_may_differ_if_the_file_is_unambiguous(tmp_path: Path) -> None:
    result = write(tmp_path / "results" / "a.png", 0.4)
    write(tmp_path / "references" / "a.jpg", 0.6)
    source = ResultFolder(tmp_path / "results", tmp_path / "references")
    assert source.left_out == []
    assert source.load(result).reference.mean().item() == pytest.approx(0.6, abs=0.01)
    write(tmp_path / "references" / "a.webp", 0.2)
    with pytest.raises(ImageFileError, match=r"more than one reference: .*a\.jpg and .*a\.webp. Keep one"):
        ResultFolder(tmp_path / "results", tmp_path / "references").load(result)
    write(tmp_path / "references" / "a.png", 0.8)
    same = ResultFolder(tmp_path / "results", tmp_path / "references").load(result)
    assert same.reference.mean().item() == pytest.approx(0.8, abs=0.01)


def test_missing_and_unequal_images_are_named(tmp_path: Path) -> None:
    result = write(tmp_path / "results" / "a.png", 0.4)
    write(tmp_path / "references" / "a.png", 0.6, side=20)
    write(tmp_path / "inputs" / "b.png", 0.6)
    with pytest.raises(
        ImageFileError, match=r"a.png has 16 x 16 pixels, but its reference .*a.png has 20 x 20: resize"
    ):
        ResultFolder(tmp_path / "results", tmp_path / "references").load(result)
    with pytest.raises(ImageFileError, match=r"image has no input: no file .*inputs.a with any suffix exists"):
        ResultFolder(tmp_path / "results", tmp_path / "references", tmp_path / "inputs").load(result)
    with pytest.raises(ImageFileError, match="none is not a folder"):
        ResultFolder(tmp_path / "results", tmp_path / "references", tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageFileError, match="empty contains no image"):
        ResultFolder(tmp_path / "empty", tmp_path / "references")


def test_the_seed_depends_only_on_the_index_of_the_face(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, 0.5, side=64) for name in ("a.png", "b.png")]
    faces, later = DegradedFaces(paths, 32, seed=0), DegradedFaces(paths[1:], 32, seed=1)
    second = faces.pair(paths[1])
    assert second.lq.shape == second.hq.shape == (3, 32, 32)
    assert torch.equal(faces.pair(paths[1]).lq, second.lq)
    assert torch.equal(later.pair(paths[1]).lq, second.lq)


def test_a_face_that_is_not_square_is_an_error(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", ImageFile(torch.rand(3, 16, 20)))
    faces = DegradedFaces([tmp_path / "a.png"], 16, 0)
    with pytest.raises(InputError, match=r"The face .*a.png must have the shape \(3, S, S\), got \(3, 16, 20\)"):
        faces.pair(tmp_path / "a.png")


def test_faces_with_the_same_stem_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="a.png and .*a.jpg would have the same name in the table"):
        DegradedFaces([tmp_path / "a.png", tmp_path / "a.jpg"], 32, 0)


def test_restored_faces_have_the_size_of_the_degraded_faces(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", 0.5, side=48)
    generator, parse_net = PsfrGenerator(GeneratorConfig((6, 4, 4), 4)), ParseNet(ParseNetConfig((4, 4), 1))
    source = RestoredFaces(DegradedFaces([path], 96, 0), generator.eval(), parse_net.eval())
    sample = source.load(path)
    assert tuple(sample.images) == source.stages
    assert {image.shape for image in (sample.reference, *sample.images.values())} == {(1, 3, 96, 96)}


def test_each_stage_is_computed_from_the_previous_stage(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, ImageFile(torch.rand(3, 64, 64)))
    generator, parse_net = PsfrGenerator(GeneratorConfig((6, 4, 4), 4)), ParseNet(ParseNetConfig((4, 4), 1))
    faces = DegradedFaces([path], 64, 0)
    sample = RestoredFaces(faces, generator.eval(), parse_net.eval()).load(path)
    before, restored, matched = (sample.images[stage] for stage in (Stage.BEFORE, Stage.GENERATOR, Stage.COLOR_MATCHED))
    pair = faces.pair(path)
    assert torch.equal(sample.reference[0], pair.hq)
    assert torch.equal(before[0], pair.lq)
    assert torch.equal(restored, enhance_faces(before, parse_faces(before, parse_net), generator))
    assert torch.equal(matched, match_colors(restored, before, ColorMatch.LOW_FREQUENCY))
    assert (matched - restored).abs().max() > 0.05
