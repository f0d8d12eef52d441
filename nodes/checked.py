"""Check the inputs of all nodes, and send notes on their results.

ComfyUI checks widget values, but not values from links.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from comfy_api.latest import io

from ..psfr_core.options import check_value
from .images import check_image, check_mask
from .notes import OUTPUT, collected_notes

_TYPES: dict[type[io.Input], type] = {
    io.Int.Input: int,
    io.Float.Input: float,
    io.Boolean.Input: bool,
    io.String.Input: str,
    io.Combo.Input: str,
}


def checked(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """Wrap ``execute`` of ``node`` so that it first checks its inputs, and adds the node's notes to its output.

    The wrapped method raises OptionError for widget values of another type or out of the widget's range, and InputError
    for images and masks of another shape or type, or with values that are not finite. The values of combos are checked by the
    code that uses them.
    """
    execute: Any = node.execute

    @wraps(execute)
    def run(cls: type[io.ComfyNode], **given: Any) -> io.NodeOutput:
        for socket in node.define_schema().inputs:
            value = given.get(socket.id)
            if socket.id in given and not (socket.optional and value is None):
                _check(socket, value)
        with collected_notes() as notes:
            output = execute.__func__(cls, **given)
        # For lists, ComfyUI joins the UI outputs of all calls, and each needs the keys of the first one.
        if notes or output.ui is not None:
            output.ui = {**_ui_of(output), OUTPUT: notes}
        return output

    # setattr, because pyright rejects an assignment to a method.
    setattr(node, "execute", classmethod(run))  # noqa: B010
    return node


def _ui_of(output: io.NodeOutput) -> dict[str, Any]:
    if output.ui is None or isinstance(output.ui, dict):
        return output.ui or {}
    return output.ui.as_dict()


def _check(socket: io.Input, value: Any) -> None:
    if isinstance(socket, io.Image.Input):
        check_image(value, socket.id)
    elif isinstance(socket, io.Mask.Input):
        check_mask(value, socket.id)
    elif type(socket) in _TYPES:
        limits = {"low": getattr(socket, "min", None), "high": getattr(socket, "max", None)}
        check_value(socket.id, value, _TYPES[type(socket)], **limits)
