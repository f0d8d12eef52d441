"""Nodes that load the generator, the parsing network and the detector.

Their ``validate_inputs`` replaces ComfyUI's check of file names, which rejects all names that are not listed. ``execute`` also
finds files of known models under other names, and explains how to get a missing model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from comfy_api.latest import io

from ..psfr_core.models.manifest import ModelKind
from ..psfr_core.restoration.restoration_models import BUNDLED, ModelPreset
from .hosted_models import host_bundled_generators, host_detector, host_generator, host_parser
from .model_folders import find_model, fingerprint, locate_model, locate_models, model_choices
from .runtime import Precision
from .schema import CATEGORY, parse_enum, supported_fields
from .types import DetectorSocket, GeneratorSocket, ParserSocket

Name = TypeVar("Name", str, str | None)

CUSTOM = "custom"


class PSFR_LoadModels(io.ComfyNode):
    """Load all three models."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_LoadModels",
            display_name="Load PSFR-GAN",
            category=CATEGORY,
            description="Loads the three models for face restoration: generator, face parser and face detector. "
            "The bundled models work offline.",
            inputs=[
                io.Combo.Input(
                    "preset",
                    options=[*(preset.value for preset in ModelPreset), CUSTOM],
                    default=ModelPreset.BUNDLED.value,
                    tooltip="Set of models. 'bundled': small models that come with this pack, with a 512 px generator for face "
                    "crops over 300 px and a 256 px generator for others. 'bundled 256' and 'bundled 512': the same, with only "
                    "one of these generators. 'published 512': sharper, but its files must be installed or downloaded. 'custom': "
                    "the models selected below.",
                ),
                _file_input(ModelKind.GENERATOR, "Used only if preset is custom. "),
                _file_input(ModelKind.PARSER, "Used only if preset is custom. "),
                _file_input(ModelKind.DETECTOR, "Used only if preset is custom. "),
                _precision_input(),
                _download_input(),
            ],
            outputs=[
                GeneratorSocket.Output(display_name="generator", tooltip="Generator that restores aligned faces."),
                ParserSocket.Output(display_name="parser", tooltip="Face parser that segments a face into regions."),
                DetectorSocket.Output(display_name="detector", tooltip="Face detector."),
            ],
            **supported_fields(search_aliases=["face restore", "face enhance", "PSFRGAN", "load face model"]),
        )

    @classmethod
    def validate_inputs(
        cls, generator: str | None = None, parser: str | None = None, detector: str | None = None
    ) -> bool:
        return True

    @classmethod
    def fingerprint_inputs(
        cls,
        preset: str | None = None,
        generator: str | None = None,
        parser: str | None = None,
        detector: str | None = None,
        **_: object,
    ) -> str:
        return _fingerprint({} if preset is None else _named(preset, generator, parser, detector))

    @classmethod
    def execute(
        cls, preset: str, generator: str, parser: str, detector: str, precision: str, download: bool
    ) -> io.NodeOutput:
        names = _named(preset, generator, parser, detector)
        uses_both_generators = names[ModelKind.GENERATOR] == BUNDLED
        if uses_both_generators:
            del names[ModelKind.GENERATOR]
        paths = locate_models(names, may_download=download)
        compute = parse_enum(Precision, precision)
        return io.NodeOutput(
            host_bundled_generators(compute)
            if uses_both_generators
            else host_generator(paths[ModelKind.GENERATOR], compute),
            host_parser(paths[ModelKind.PARSER], compute),
            host_detector(paths[ModelKind.DETECTOR]),
        )


class PSFR_LoadGenerator(io.ComfyNode):
    """Load a generator."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_LoadGenerator",
            display_name="Load Generator (PSFR-GAN)",
            category=CATEGORY,
            description="Loads a PSFR-GAN generator, which restores aligned faces.",
            inputs=[_file_input(ModelKind.GENERATOR), _precision_input(), _download_input()],
            outputs=[
                GeneratorSocket.Output(display_name="generator", tooltip="Generator that restores aligned faces.")
            ],
            **supported_fields(search_aliases=["face restore model", "PSFRGAN"]),
        )

    @classmethod
    def validate_inputs(cls, generator: str | None = None) -> bool:
        return True

    @classmethod
    def fingerprint_inputs(cls, generator: str | None = None, **_: object) -> str:
        return _fingerprint({ModelKind.GENERATOR: generator})

    @classmethod
    def execute(cls, generator: str, precision: str, download: bool) -> io.NodeOutput:
        path = locate_model(generator, ModelKind.GENERATOR, may_download=download)
        return io.NodeOutput(host_generator(path, parse_enum(Precision, precision)))


class PSFR_LoadFaceParser(io.ComfyNode):
    """Load a face parser."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_LoadFaceParser",
            display_name="Load Face Parser (PSFR-GAN)",
            category=CATEGORY,
            description="Loads a face parser, which segments a face into 19 regions.",
            inputs=[_file_input(ModelKind.PARSER), _precision_input(), _download_input()],
            outputs=[
                ParserSocket.Output(display_name="parser", tooltip="Face parser that segments a face into regions.")
            ],
            **supported_fields(search_aliases=["face parsing", "face segmentation", "ParseNet"]),
        )

    @classmethod
    def validate_inputs(cls, parser: str | None = None) -> bool:
        return True

    @classmethod
    def fingerprint_inputs(cls, parser: str | None = None, **_: object) -> str:
        return _fingerprint({ModelKind.PARSER: parser})

    @classmethod
    def execute(cls, parser: str, precision: str, download: bool) -> io.NodeOutput:
        path = locate_model(parser, ModelKind.PARSER, may_download=download)
        return io.NodeOutput(host_parser(path, parse_enum(Precision, precision)))


class PSFR_LoadFaceDetector(io.ComfyNode):
    """Load a face detector."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PSFR_LoadFaceDetector",
            display_name="Load Face Detector (PSFR-GAN)",
            category=CATEGORY,
            description="Loads a face detector: the small bundled model or a RetinaFace model of facexlib.",
            inputs=[_file_input(ModelKind.DETECTOR), _download_input()],
            outputs=[DetectorSocket.Output(display_name="detector", tooltip="Face detector.")],
            **supported_fields(search_aliases=["RetinaFace", "face detection model"]),
        )

    @classmethod
    def validate_inputs(cls, detector: str | None = None) -> bool:
        return True

    @classmethod
    def fingerprint_inputs(cls, detector: str | None = None, **_: object) -> str:
        return _fingerprint({ModelKind.DETECTOR: detector})

    @classmethod
    def execute(cls, detector: str, download: bool) -> io.NodeOutput:
        return io.NodeOutput(host_detector(locate_model(detector, ModelKind.DETECTOR, may_download=download)))


def _named(preset: str, generator: Name, parser: Name, detector: Name) -> dict[ModelKind, Name | str]:
    if preset == CUSTOM:
        return {ModelKind.GENERATOR: generator, ModelKind.PARSER: parser, ModelKind.DETECTOR: detector}
    return {kind: parse_enum(ModelPreset, preset).model_of(kind) for kind in ModelKind}


def _fingerprint(names: Mapping[ModelKind, str | None]) -> str:
    """Return a fingerprint of the files with these names. A name is None if it comes from another node."""
    return fingerprint(*(find_model(name, kind) for kind, name in names.items() if name is not None))


def _file_input(kind: ModelKind, when: str = "") -> io.Combo.Input:
    choices = model_choices(kind)
    return io.Combo.Input(
        kind.value,
        options=choices,
        default=choices[0],
        tooltip=f"{when}Known model name, or {kind.value} file in the model folders.",
    )


def _precision_input() -> io.Combo.Input:
    return io.Combo.Input(
        "precision",
        options=Precision,
        default=Precision.AUTO,
        tooltip="Compute precision. 'auto' uses ComfyUI's choice for the device; on a CPU, bfloat16 if it is fast there. If "
        "float16 causes an error, choose float32.",
    )


def _download_input() -> io.Boolean.Input:
    return io.Boolean.Input(
        "download",
        default=False,
        tooltip="If the selected model is known but missing, download it from the Hugging Face Hub or its official release "
        "when this node runs.",
    )
