"""Verify the checksums in files that ``torch.save`` wrote. ``torch.load`` does not verify them."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

_DIRECTORY = 0x10  # MS-DOS attribute of folders; PyTorch leaves the memory of such a record uninitialized


def find_damage(file: BinaryIO) -> str | None:
    """Return a description of the damage in a file of ``torch.save``, or None if all records match their CRC-32.

    Records larger than the file count as damage, so that a small file cannot fill the memory. For files of the legacy format, which
    was used before PyTorch 1.6 and has no checksums, None is returned. The position of ``file`` is changed.
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
