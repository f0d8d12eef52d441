"""Checksums of what ``torch.save`` writes; ``torch.load`` does not verify them."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

_DIRECTORY = 0x10  # attribute of MS-DOS; PyTorch leaves the memory of such a record as it happens to be


def find_damage(file: BinaryIO) -> str | None:
    """Return what is wrong with a file of ``torch.save``, in words; None if all records of its zip archive have their CRC-32.

    The records are not larger than the file either, so that a small file cannot fill the memory. Files of the legacy format, from
    before PyTorch 1.6, have no checksums: None. Moves the position of ``file``.
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
    except Exception as error:  # zipfile raises many types, whatever the damaged bytes happen to trip over
        return str(error) or type(error).__name__
    return f"the checksum of its record {damaged[:80]!r} is wrong" if damaged else None
