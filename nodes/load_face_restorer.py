"""The node that loads face restorers of other authors."""

from __future__ import annotations

from comfy_api.latest import io

from ..psfr_core.models.other_restorers import DEFAULT_FIDELITY
from .hosted_models import host_restorer
from .model_folders import find_restorer, fingerprint, locate_restorer, restorer_choices
from .runtime import Precision
from .schema import CATEGORY, parse_enum, supported_fields
from .types import GeneratorSocket

_PRECISIONS = (Precision.AUTO, Precision.FLOAT32, Precision.BFLOAT16)


class PSFR_LoadFaceRestorer(io.ComfyNode):
    """Load a restorer of other authors."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        choices = restorer_choices()
        return io.Schema(
            node_id="PSFR_LoadFaceRestorer",
            display_name="Load Face Restorer (PSFR-GAN)",
            category=CATEGORY,
            description="Loads a GFPGAN, RestoreFormer or CodeFormer file, which takes the place of a PSFR-GAN generator.",
            inputs=[
                io.Combo.Input(
                    "restorer",
                    options=choices,
                    default=choices[0],
                    tooltip="GFPGAN, RestoreFormer or CodeFormer file in the model folders, such as models/facerestore_models. "
                    "CodeFormer needs the package spandrel_extra_arches.",
                ),
                io.Float.Input(
                    "fidelity",
                    default=DEFAULT_FIDELITY,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="CodeFormer only: 0 invents the most detail, 1 stays closest to the input.",
                ),
                io.Combo.Input(
                    "precision",
                    options=[precision.value for precision in _PRECISIONS],
                    default=Precision.AUTO.value,
                    tooltip="Compute precision. 'auto' is float32. bfloat16 is faster on most GPUs, but CodeFormer does not "
                    "support it.",
                ),
            ],
            outputs=[
                GeneratorSocket.Output(
                    display_name="restorer",
                    tooltip="Face restorer, for the generator input of the nodes that restore faces.",
                )
            ],
            **supported_fields(search_aliases=["GFPGAN", "CodeFormer", "RestoreFormer", "face restore model"]),
        )

    @classmethod
    def validate_inputs(cls, restorer: str | None = None) -> bool:
        return True

    @classmethod
    def fingerprint_inputs(cls, restorer: str | None = None, **_: object) -> str:
        return "" if restorer is None else fingerprint(find_restorer(restorer))

    @classmethod
    def execute(cls, restorer: str, fidelity: float, precision: str) -> io.NodeOutput:
        hosted = host_restorer(locate_restorer(restorer), parse_enum(Precision, precision), fidelity)
        return io.NodeOutput(hosted)
