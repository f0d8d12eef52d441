"""Verify the checksums in files of ``torch.save``, which ``torch.load`` does not verify."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

_DIRECTORY = 0x10  # MS-DOS attribute; PyTorch leaves the memory of such a record uninitialized


def find_damage(file: BinaryIO) -> str | None:
    """Describe the damage of a file of ``torch.save``; None if all records of its zip archive match their CRC-32.

    Records larger than the file are damage too, so that a small file cannot fill the memory. Files of the legacy format, written
    before PyTorch 1.6, have no checksums; for these, None is returned. Moves the position of ``file``.
    """
    file.seek(0)
    if file.read(2) != b"PK":
        return None
    size = file.seek(0, 2)
    try:
        with zipfile.ZipFile(file) as archive:
            records = archive.infolist()
            if any(record.compress_type != zipfile.ZIP_STORED for record in records):
                return "its records are compressed, which PyTorch never does"
            if any(record.is_dir() or record.external_attr & _DIRECTORY for record in records):
                return "a record is marked as a folder, and would not be read"
            if sum(record.file_size for record in records) > size:
                return "its records are larger than the file"
            damaged = archive.testzip()
    except Exception as error:  # damaged bytes can make zipfile raise errors of any type
        return str(error) or type(error).__name__
    return f"the checksum of its record {damaged[:80]!r} is wrong" if damaged else None
