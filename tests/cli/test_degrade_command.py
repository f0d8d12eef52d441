import argparse
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from psfr_core.cli import degrade as command
from psfr_core.errors import ImageFileError, OptionError
from psfr_core.images.io import ImageFile, read_image, write_image
from psfr_core.lab.degradation.config import DegradationConfig, DegradationPreset
from psfr_core.lab.degradation.pipeline import degrade, sample_degradation


def run(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(argument) for argument in arguments]))


def write_test_image(path, channels=3, seed=0):
    path.parent.mkdir(exist_ok=True)
    pixels = torch.rand(channels, 40, 50, generator=torch.Generator().manual_seed(seed))
    write_image(path, ImageFile(pixels))
    return read_image(path).pixels


def test_output_equals_the_library_and_is_described(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    pixels = [write_test_image(tmp_path / "in" / f"{name}.png", seed=n) for n, name in enumerate("ab")]
    assert run(tmp_path / "in", "-o", tmp_path / "out", "--hq", tmp_path / "hq", "--seed", 7) == 0
    for n, name in enumerate("ab"):
        pair = degrade(pixels[n], DegradationConfig(), torch.Generator().manual_seed(7 + n))
        assert torch.allclose(read_image(tmp_path / "out" / f"{name}.png").pixels, pair.lq, atol=1e-6)
        assert torch.allclose(read_image(tmp_path / "hq" / f"{name}.png").pixels, pair.hq, atol=0.5 / 255 + 1e-6)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [str(tmp_path / "out" / f"{name}.png") for name in "ab"]
    assert all("reduced to" in line for line in lines)


def test_a_resumed_run_degrades_each_image_as_the_first_run(tmp_path, capsys):
    for name in "ab":
        write_test_image(tmp_path / "in" / f"{name}.png")
    assert run(tmp_path / "in", "-o", tmp_path / "out") == 0
    before = (tmp_path / "out" / "b.png").read_bytes()
    (tmp_path / "out" / "b.png").unlink()
    capsys.readouterr()
    assert run(tmp_path / "in", "-o", tmp_path / "out", "--resume") == 0
    assert (tmp_path / "out" / "b.png").read_bytes() == before
    assert "skipped: 1" in capsys.readouterr().out


def test_flags_set_the_ranges(tmp_path, capsys):
    write_test_image(tmp_path / "a.png")
    flags = "--grey-probability 1 --blur-probability 0 --noise-probability 0 --jpeg-probability 1 --jpeg-quality 20 20"
    assert run(tmp_path / "a.png", "-o", tmp_path / "out", *flags.split(), "--reduced-side", 0.5, 0.5) == 0
    assert re.fullmatch(r".*a\.png: gray, reduced to 0\.500 \(\w+\), JPEG 20\n", capsys.readouterr().out)


@pytest.mark.parametrize(("channels", "kept"), [(1, 3), (2, 4), (3, 3), (4, 4)])
def test_gray_becomes_color_and_alpha_stays(tmp_path, channels, kept):
    pixels = write_test_image(tmp_path / "a.png", channels)
    assert run(tmp_path / "a.png", "-o", tmp_path / "out") == 0
    degraded = read_image(tmp_path / "out" / "a.png").pixels
    assert degraded.shape == (kept, 40, 50)
    if channels in (2, 4):
        assert torch.allclose(degraded[-1], pixels[-1], atol=1e-6)


def test_a_broken_file_is_reported_and_the_others_are_processed(tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"not an image")
    write_test_image(tmp_path / "b.png")
    assert run(tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "out") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]
    assert re.search(r"a\.png: .*has none of the readable formats", capsys.readouterr().err)


def test_an_input_is_never_overwritten(tmp_path):
    write_test_image(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    for arguments in (("-o", tmp_path), ("-o", tmp_path / "out", "--hq", tmp_path)):
        with pytest.raises(OptionError, match="is an input and must not be overwritten"):
            run(tmp_path / "a.png", *arguments)
    assert (tmp_path / "a.png").read_bytes() == before


def test_invalid_arguments_are_rejected(tmp_path):
    write_test_image(tmp_path / "a.png")
    with pytest.raises(OptionError, match=re.escape("noise_std must be (low, high)")):
        run(tmp_path / "a.png", "-o", tmp_path / "out", "--noise-std", 0.2, 0.1)
    with pytest.raises(OptionError, match="would be written twice"):
        run(tmp_path / "a.png", "-o", tmp_path / "out", "--hq", tmp_path / "out")
    with pytest.raises(ImageFileError, match="does not exist"):
        run(tmp_path / "missing.png", "-o", tmp_path / "out")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], DegradationPreset.HARDER.config),
        (["--passes", "1"], replace(DegradationPreset.HARDER.config, passes=1)),  # 1 is also the default
        (["--noise-std", "0", "0.02"], replace(DegradationPreset.HARDER.config, noise_std=(0.0, 0.02))),
    ],
)
def test_given_ranges_replace_those_of_the_preset(
    tmp_path: Path, given: list[str], expected: DegradationConfig
) -> None:
    face = next((Path(__file__).parents[1] / "data" / "faces").glob("*.jpg"))
    assert run(face, "-o", tmp_path, "--seed", 5, "--degradation", "harder", *given) == 0
    pair = degrade(read_image(face).pixels, expected, torch.Generator().manual_seed(5))
    assert torch.equal(read_image(tmp_path / f"{face.stem}.png").pixels, pair.lq)


def test_old_photographs_are_made_and_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    face = next((Path(__file__).parents[1] / "data" / "faces").glob("*.jpg"))
    assert run(face, "-o", tmp_path, "--seed", 8, "--degradation", "old", "--jpeg-probability", 0) == 0
    config = replace(DegradationPreset.OLD.config, jpeg_probability=0)
    pixels, generator = read_image(face).pixels, torch.Generator()
    assert torch.equal(
        read_image(tmp_path / f"{face.stem}.png").pixels, degrade(pixels, config, generator.manual_seed(8)).lq
    )
    assert str(sample_degradation(config, min(pixels.shape[-2:]), generator.manual_seed(8))) in capsys.readouterr().out


def test_images_above_the_limit_are_reported_and_the_others_processed(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    write_test_image(tmp_path / "in" / "a.png")
    write_image(tmp_path / "in" / "b.png", ImageFile(torch.rand(3, 100, 100)))
    assert run(tmp_path / "in", "-o", tmp_path / "out", "--max-megapixels", 0.005) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]
    message = capsys.readouterr().err
    assert "b.png is too large: it has 100 x 100 pixels, 0.01 megapixels, but the limit is 0.005" in message
    assert "The option is --max-megapixels." in message
