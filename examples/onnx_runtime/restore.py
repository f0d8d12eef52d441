"""Restore the faces in a photo with ONNX Runtime, NumPy and Pillow, without PyTorch.

psfr export detector compact-face -o detector.onnx
psfr export parser parsenet-256 -o parser.onnx
psfr export generator psfrgan-256 -o generator.onnx
python restore.py photo.jpg restored.png
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageFilter

LONGER_SIDE = 640  # pixels of the image in which faces are searched
MAX_OVERLAP = 0.4  # intersection over union
PASTED = ("skin", "nose", "left_eye", "right_eye", "left_brow", "right_brow", "mouth", "upper_lip", "lower_lip")


class Network:
    """An exported network."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.notes = self.session.get_modelmeta().custom_metadata_map
        self.seconds = 0.0  # of the processor

    def __call__(self, *inputs: np.ndarray) -> list[Any]:
        """Return the outputs for ``inputs`` in the order of the file."""
        start = time.process_time()
        names = [entry.name for entry in self.session.get_inputs()]
        outputs = self.session.run(None, dict(zip(names, inputs, strict=True)))
        self.seconds += time.process_time() - start
        return list(outputs)


def to_array(image: Image.Image) -> np.ndarray:
    """Return a batch (1, 3, H, W) of one image, float32 in [0, 1]."""
    return np.asarray(image, dtype=np.float32).transpose(2, 0, 1)[None] / 255


def find_faces(image: Image.Image, detector: Network) -> list[np.ndarray]:
    """Return five landmarks of each face as complex numbers x + iy, in pixels from the corner of the image."""
    scale = min(1.0, LONGER_SIDE / max(image.size))
    small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    padded = Image.new("RGB", tuple(-(-side // 32) * 32 for side in small.size), (128, 128, 128))
    padded.paste(small)
    scores, boxes, landmarks = (output[0] for output in detector(to_array(padded)))
    faces: list[int] = []
    for index in np.argsort(-scores):
        if scores[index] < float(detector.notes["min_score"]):
            break
        if all(overlap(boxes[index], boxes[face]) <= MAX_OVERLAP for face in faces):
            faces.append(int(index))
    return [(landmarks[face] + 0.5) @ [1, 1j] / scale for face in faces]


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Return the intersection over union of two boxes."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    shared = np.prod(sides.clip(0))
    return float(shared / (np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2]) - shared))


def fit(points: np.ndarray, targets: np.ndarray) -> tuple[complex, complex]:
    """Return factor and offset of the similarity ``factor * point + offset`` that maps ``points`` closest to ``targets``."""
    centered = points - points.mean()
    factor = (centered.conj() @ (targets - targets.mean())) / (abs(centered) ** 2).sum()
    return factor, targets.mean() - factor * points.mean()


def warp(image: Image.Image, size: tuple[int, int], factor: complex, offset: complex) -> Image.Image:
    """Return the ``image`` of ``size`` whose point p shows the point ``factor * p + offset`` of ``image``."""
    affine = (factor.real, -factor.imag, offset.real, factor.imag, factor.real, offset.imag)
    return image.transform(size, Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)


def restore_face(image: Image.Image, landmarks: np.ndarray, parser: Network, generator: Network) -> Image.Image:
    """Return ``image`` with the face at ``landmarks`` restored."""
    size = int(generator.notes["size"])
    factor, offset = fit(landmarks, np.array(json.loads(generator.notes["template"])) @ [1, 1j] * size)
    shrink = min(1.0, abs(factor))  # a face larger than the crop is shrunk first, which avoids aliasing
    source = image.resize((round(image.width * shrink), round(image.height * shrink)), Image.Resampling.BICUBIC)
    crop = to_array(warp(source, (size, size), shrink / factor, -offset * shrink / factor))
    labels, _ = parser(crop)
    (restored,) = generator(crop, labels)
    regions = json.loads(parser.notes["regions"])
    face = Image.fromarray((restored[0].transpose(1, 2, 0) * 255).round().astype(np.uint8))
    is_pasted = np.isin(labels[0], [regions.index(name) for name in PASTED])
    mask = Image.fromarray(is_pasted.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(size / 64))
    return Image.composite(warp(face, image.size, factor, offset), image, warp(mask, image.size, factor, offset))


def main() -> None:
    """Restore all faces, and print the seconds of each network."""
    source, target = sys.argv[1:]
    networks = {name: Network(Path(f"{name}.onnx")) for name in ("detector", "parser", "generator")}
    image = Image.open(source).convert("RGB")
    faces = find_faces(image, networks["detector"])
    for landmarks in faces:
        image = restore_face(image, landmarks, networks["parser"], networks["generator"])
    image.save(target)
    seconds = ", ".join(f"{name} {network.seconds:.2f} s" for name, network in networks.items())
    print(f"{len(faces)} faces: {seconds}")


if __name__ == "__main__":
    main()
