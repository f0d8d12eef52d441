"""Imitate node schemas. Unknown keywords raise TypeError, as in ComfyUI 0.3.64."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class NumberDisplay(str, Enum):
    number = "number"
    slider = "slider"


class FolderType(str, Enum):
    temp = "temp"
    output = "output"


class Input:
    io_type = ""

    def __init__(
        self, id: str, display_name: str | None = None, optional: bool = False, tooltip: str | None = None
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.optional = optional
        self.tooltip = tooltip
        self.default: Any = None
        self.extra_dict: dict[str, Any] = {}


class Output:
    io_type = ""

    def __init__(
        self, display_name: str | None = None, tooltip: str | None = None, is_output_list: bool = False
    ) -> None:
        self.display_name = display_name
        self.tooltip = tooltip
        self.is_output_list = is_output_list


class _Widget(Input):
    def __init__(
        self,
        id: str,
        *,
        default: Any = None,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip)
        self.default = default


class _Number(_Widget):
    def __init__(
        self,
        id: str,
        *,
        min: Any = None,
        max: Any = None,
        step: Any = None,
        display_mode: NumberDisplay | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(id, **rest)
        self.min, self.max, self.step, self.display_mode = min, max, step, display_mode


class _Combo(_Widget):
    def __init__(self, id: str, options: list[str] | type[Enum], **rest: Any) -> None:
        super().__init__(id, **rest)
        self.options: list[str] = [o.value for o in options] if isinstance(options, type) else options
        if isinstance(self.default, Enum):
            self.default = self.default.value


class _Int(_Number):
    def __init__(self, id: str, *, control_after_generate: bool | None = None, **rest: Any) -> None:
        super().__init__(id, **rest)
        self.control_after_generate = control_after_generate


class SocketType:
    """Type of sockets, with the classes of its inputs and outputs."""

    def __init__(self, io_type: str, input_class: type[Any] = Input) -> None:
        self.io_type = io_type
        self.Input: type[Any] = type("Input", (input_class,), {"io_type": io_type})
        self.Output: type[Any] = type("Output", (Output,), {"io_type": io_type})


def Custom(io_type: str) -> SocketType:  # noqa: N802
    return SocketType(io_type)


class Image:
    class Input(Input):
        io_type = "IMAGE"

    class Output(Output):
        io_type = "IMAGE"


class Mask:
    class Input(Input):
        io_type = "MASK"

    class Output(Output):
        io_type = "MASK"


class Video:
    class Input(Input):
        io_type = "VIDEO"

    class Output(Output):
        io_type = "VIDEO"


class Combo:
    class Input(_Combo):
        io_type = "COMBO"


class Int:
    class Input(_Int):
        io_type = "INT"

    class Output(Output):
        io_type = "INT"


class Float:
    class Input(_Number):
        io_type = "FLOAT"

    class Output(Output):
        io_type = "FLOAT"


class String:
    class Input(_Widget):
        io_type = "STRING"

    class Output(Output):
        io_type = "STRING"


class Boolean:
    class Input(_Widget):
        io_type = "BOOLEAN"


@dataclass
class Schema:
    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    description: str = ""
    is_output_node: bool = False


class ComfyNode:
    """Base class of all nodes."""

    @classmethod
    def define_schema(cls) -> Schema:
        raise NotImplementedError

    @classmethod
    def execute(cls, **kwargs: Any) -> NodeOutput:
        raise NotImplementedError


class NodeOutput:
    def __init__(self, *args: Any, ui: Any = None) -> None:
        self.args = args
        self.ui: Any = ui
