from __future__ import annotations

import torch

from psfr_core.faces.align import align_faces
from psfr_core.faces.face import Face
from psfr_core.faces.template import template_for
from psfr_core.images.box import Box
from psfr_core.video.follow_faces import follow_faces
from psfr_core.video.steady_alignment import align_track, crop_transform
from psfr_core.video.tracks import track_faces


def test_followed_faces_are_aligned_like_their_tracks_and_gaps_are_filled() -> None:
    generator = torch.Generator().manual_seed(0)
    place = template_for(64).float() + 20
    faces = [
        [] if index == 5 else [Face(Box(20, 20, 84, 84), place + torch.randn(5, 2, generator=generator), 0.8)]
        for index in range(12)
    ]
    (followed,) = follow_faces(faces)
    (track,) = track_faces(faces)
    assert list(followed) == list(range(12))
    assert abs(followed[5].score - 0.8) < 1e-6
    image = torch.rand(3, 120, 120)
    for frame, transform in enumerate(align_track(track)):
        (aligned,) = align_faces(image, [followed[frame]], 64)
        assert torch.allclose(aligned.image_to_crop, crop_transform(transform, 64), atol=1e-4)
