"""Check that the pickles in a weight file stay within limits before they are loaded.

``torch.load(weights_only=True)`` does not run code in a file. However, a few bytes can make it allocate gigabytes, work for
minutes, or overflow the stack of the interpreter.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from typing import IO, Any, BinaryIO

MAX_OPCODES = 400_000  # PyTorch writes about 30 per tensor
MAX_TUPLE_DEPTH = 100  # the hash function of tuples recurses in C without a limit
ALLOCATOR = "bytearray"  # torch.load accepts this call, and bytearray(n) fills n bytes
_ZIP_START = b"PK\x03\x04"
_LEGACY_PICKLES = 5  # magic number, protocol, system, content, and the order of the following raw values


def find_excess(file: BinaryIO) -> str | None:
    """Return a description of the limit that the pickles in ``file`` exceed, or None if they exceed none.

    ``file`` is an undamaged zip archive of PyTorch, or a file of the legacy format. Its position is changed.
    """
    file.seek(0)
    start = file.read(len(_ZIP_START))
    file.seek(0)
    if start != _ZIP_START:  # torch.load tests the start as well; is_zipfile would test the end
        return _find_excess(file, _LEGACY_PICKLES)
    with zipfile.ZipFile(file) as archive:
        # PyTorch ignores the case of record names.
        contents = [archive.read(name) for name in archive.namelist() if name.lower().endswith("data.pkl")]
    return next(filter(None, (_find_excess(io.BytesIO(content), 1) for content in contents)), None)


def _find_excess(file: IO[bytes], count: int) -> str | None:
    """Return a description of the limit that the next ``count`` pickles of ``file`` exceed together, or None.

    For a pickle that cannot be parsed, None is returned, because ``torch.load`` rejects it.
    """
    remaining = MAX_OPCODES
    try:
        for _ in range(count):
            for name, argument, depth in _steps(file):
                remaining -= 1
                if remaining < 0:
                    return "describes more objects than any supported network has"
                if depth > MAX_TUPLE_DEPTH:
                    return f"nests more than {MAX_TUPLE_DEPTH} tuples"
                if name == "GLOBAL" and str(argument).split(" ")[-1] == ALLOCATOR:
                    return f"calls {ALLOCATOR}, which can fill the memory"
    except Exception:  # damaged bytes can make pickletools raise errors of any type
        return None
    return None


def _steps(file: IO[bytes]) -> Iterator[tuple[str, Any, int]]:
    """Yield each opcode of a pickle with its argument and the depth of nested tuples in the topmost value on the stack."""
    stack: list[int] = []
    marks: list[int] = []
    memo: dict[Any, int] = {}
    for opcode, argument, _ in pickletools.genops(file):
        taken = opcode.stack_before
        if opcode.name == "MARK":
            marks.append(len(stack))
        elif opcode.name.endswith("PUT"):
            memo[argument] = stack[-1]
        elif opcode.name.endswith("GET"):
            stack.append(memo[argument])
        else:
            is_marked = pickletools.markobject in taken
            start = marks.pop() - taken.index(pickletools.markobject) if is_marked else len(stack) - len(taken)
            depth = 1 + max(stack[start:], default=0) if opcode.name.startswith("TUPLE") else 0
            stack[start:] = [depth] * len(opcode.stack_after)
        yield opcode.name, argument, stack[-1] if stack else 0
