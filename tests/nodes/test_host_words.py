"""Test the titles of errors in ComfyUI, and the warning about the name of the pack's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def title_of(error: type[BaseException]) -> str:
    """Return the title as ``full_type_name`` in ComfyUI's execution.py does."""
    return error.__qualname__ if error.__module__ == "builtins" else f"{error.__module__}.{error.__qualname__}"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("PsfrError", "PSFR-GAN error"),
        ("OptionError", "Invalid option"),
        ("PositionError", "Invalid input"),  # inherits the title of its base class
        ("CheckpointError", "Unusable model file"),
        ("ModelNotFoundError", "Missing model"),
        ("ImageTooLargeError", "Unusable image file"),
        ("TrainingError", "PSFR-GAN error"),
    ],
)
def test_errors_have_readable_titles(pack: Any, nodes: object, name: str, title: str) -> None:
    assert title_of(getattr(pack("psfr_core.errors"), name)) == title


def test_errors_defined_in_other_modules_have_titles(pack: Any, nodes: object) -> None:
    assert title_of(pack("psfr_core.models.transfer").NotOnServerError) == "Download failed"


def test_a_node_raises_an_error_with_a_title(run: Any, pack: Any) -> None:
    with pytest.raises(pack("psfr_core.errors").PsfrError) as missing:
        run("PSFR_LoadGenerator", generator="psfrgan-512")
    assert title_of(missing.type) == "Missing model"


def test_an_installed_library_keeps_its_names(nodes: object) -> None:
    from psfr_core.errors import OptionError

    assert title_of(OptionError) == "psfr_core.errors.OptionError"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("PSFR-GAN-0.4.0", "'PSFR-GAN-0.4.0' contains a dot."),
        ("psfrgan@0.4.0", "'psfrgan@0.4.0' contains a dot and an @."),
        ("psfr gan", "'psfr gan' contains a space."),
    ],
)
def test_a_folder_name_that_hides_the_help_pages_gives_a_warning(
    pack: Any, caplog: pytest.LogCaptureFixture, name: str, words: str
) -> None:
    pack("nodes.pack_folder").warn_about_folder_name(Path("/a.b/custom_nodes") / name)
    assert f"The folder name {words} ComfyUI does not show the help pages" in caplog.text


def test_other_folder_names_give_no_warning(pack: Any, caplog: pytest.LogCaptureFixture) -> None:
    pack("nodes.pack_folder").warn_about_folder_name(Path("/a.b/custom nodes/ComfyUI-PSFR_GAN-main"))
    assert caplog.text == ""
