"""Write the model card (README.md) of a published model."""

from __future__ import annotations

import json
from pathlib import Path

from ..files import sha256_of
from .metadata import WeightMetadata, stored_types

PAPER = "Chen et al., Progressive Semantic-Aware Style Transformation for Blind Face Restoration, CVPR 2021"
LOADERS = {"psfr_generator": "load_generator", "parse_net": "load_parse_net"}
HUB_LICENCES = frozenset({"cc-by-nc-sa-4.0", "cc-by-nc-4.0", "cc-by-4.0", "cc0-1.0", "mit", "apache-2.0", "unknown"})


def model_card(path: Path, metadata: WeightMetadata) -> str:
    """Return the model card of a converted weight file as Markdown with YAML front matter."""
    licence = metadata.licence.lower() if metadata.licence.lower() in HUB_LICENCES else "other"
    head = [f"license: {licence}", "library_name: psfrgan", "tags: [face-restoration, psfr-gan]"]
    if licence == "other":
        head.append(f"license_name: {json.dumps(metadata.licence)}")
    facts = {
        "file": f"`{path.name}`",
        "network": f"`{metadata.architecture}`",
        "configuration": f"`{json.dumps(metadata.config)}`",
        "source": metadata.source,
        "license": metadata.licence,
        "size": f"{path.stat().st_size:,} bytes",
        "SHA-256": f"`{sha256_of(path)}`",
    }
    table = ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in facts.items())]
    lines = ["---", *head, "---", f"# {path.stem}", "", _purpose(path, metadata), "", *table, "", _use(path, metadata)]
    return "\n".join(lines)


def _purpose(path: Path, metadata: WeightMetadata) -> str:
    return (
        f"Weights of one network for PSFR-GAN face restoration ({PAPER}). They come from: {metadata.source}. "
        f"Any spectral normalization is folded into the weights, which are stored as {stored_types(path)}. "
        f"License: {metadata.licence}."
    )


def _use(path: Path, metadata: WeightMetadata) -> str:
    loader = LOADERS.get(metadata.architecture, "load_detector")
    return f'```python\nimport psfr_core\n\nnetwork = psfr_core.{loader}("{path.name}")\n```\n'
