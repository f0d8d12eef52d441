"""Align faces: cut upright crops of one size from an image, as the networks require them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import check_finite, check_float, check_shape
from ..errors import InputError
from ..images.box import Size
from ..images.similarity import affine_scale, fit_similarity_robustly, invert_affine
from ..images.warp import output_box, warp_affine
from .face import Face, check_faces
from .template import check_crop_size, template_for


@dataclass(frozen=True, eq=False)  # comparing tensors does not yield a single bool
class AlignedFace:
    """A face aligned to the FFHQ template.

    ``crop`` (3, S, S) is float32 RGB in [0, 1]. ``image_to_crop`` (2, 3), float64 on the CPU, maps pixels of the image to pixels of
    the crop. In both, (0, 0) is the center of the top-left pixel.
    """

    face: Face
    crop: Tensor
    image_to_crop: Tensor

    @property
    def crop_to_image(self) -> Tensor:
        """Affine transform (2, 3) from pixels of the crop to pixels of the image."""
        return invert_affine(self.image_to_crop)


def crop_side(face: Face) -> float:
    """Return the side of the crop of ``face`` in image pixels. Raise InputError as ``fit_template`` does."""
    size = 512
    return size / affine_scale(fit_template(face.landmarks, size))


def align_faces(image: Tensor, faces: Sequence[Face], crop_size: int) -> list[AlignedFace]:
    """Align ``faces``, in pixels of ``image`` (3, H, W), to crops with a side of ``crop_size`` pixels, and keep their order.

    A similarity transform maps the landmarks of each face to the template. Landmarks that disagree with the others are ignored.
    Reduced crops are antialiased, edge pixels are replicated beyond the image, and values are clamped to [0, 1]. The run time
    depends on the areas of the faces, but not on the size of the image.
    Raises InputError for an image of another shape or dtype, for faces that ``check_faces`` or ``fit_template`` rejects, and for
    crops that lie outside the image or contain NaN. Raises OptionError for a crop size that is not from 1 to 8192.
    """
    check_shape(image, "3 H W", "image")
    check_float(image, "image")
    check_faces(faces)
    check_crop_size(crop_size)
    aligned = [_align(image, face, crop_size) for face in faces]
    if aligned:
        check_finite(torch.stack([face.crop.amax() for face in aligned]), "image")
    return aligned


def _align(image: Tensor, face: Face, crop_size: int) -> AlignedFace:
    image_to_crop = fit_template(face.landmarks, crop_size)
    size = Size(crop_size, crop_size)
    if output_box(invert_affine(image_to_crop), size).to_pixels(Size.of(image)).is_empty:
        raise InputError(
            f"The face with landmarks {face.landmarks.tolist()} lies outside the image of {image.shape[-1]} x "
            f"{image.shape[-2]} pixels. Give landmarks in pixels of this image."
        )
    crop = warp_affine(image, image_to_crop, size).clamp_(0, 1)  # interpolation overshoots at sharp edges
    return AlignedFace(face, crop, image_to_crop)


def place_crops(faces: Sequence[Face], crops: Tensor) -> list[AlignedFace]:
    """Combine ``faces`` and their ``crops`` (N, 3, S, S), and recompute the transforms for the size of the crops.

    The crops may have been processed in any way that does not move the faces in them. Raises InputError unless there is one
    square crop for each face, and the errors of ``fit_template``.
    """
    if len(crops) != len(faces):
        raise InputError(f"There are {len(crops)} crops but {len(faces)} faces. Each face needs one crop.")
    check_shape(crops, "N 3 S S", "crops")
    return [
        AlignedFace(face, crop, fit_template(face.landmarks, crop.shape[-1]))
        for face, crop in zip(faces, crops, strict=True)
    ]


def fit_template(landmarks: Tensor, crop_size: int) -> Tensor:
    """Return the similarity (2, 3) that maps ``landmarks`` in image pixels to the template in a crop of ``crop_size``.

    Raises InputError unless ``landmarks`` (5, 2) are finite, if all of them coincide, and if no similarity fits. A wrong order of
    the landmarks is usually not detected. Raises OptionError for a crop size that is not from 1 to 8192.
    """
    check_shape(landmarks, "5 2", "landmarks")
    try:
        return fit_similarity_robustly(landmarks, template_for(crop_size))
    except InputError as error:
        raise InputError(
            f"The landmarks {landmarks.tolist()} do not form a face. {error} Give left eye, right eye, nose tip, left and "
            "right mouth corner as x, y in pixels."
        ) from error
