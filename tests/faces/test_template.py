from __future__ import annotations

import pytest
import torch

from psfr_core.errors import OptionError
from psfr_core.faces.template import FFHQ_TEMPLATE, template_for


def test_the_template_has_ffhqs_numbers_at_512() -> None:
    left_eye, right_eye, nose, left_mouth, right_mouth = template_for(512).tolist()
    assert left_eye == pytest.approx([192.98138, 239.94708])
    assert right_eye == pytest.approx([318.90277, 240.1936])
    assert nose == pytest.approx([256.63416, 314.01935])
    assert left_mouth == pytest.approx([201.26117, 371.41043])
    assert right_mouth == pytest.approx([313.08905, 371.15118])


@pytest.mark.parametrize("crop_size", [1, 128, 256, 1024])
def test_other_sizes_keep_the_crops_borders_in_place(crop_size: int) -> None:
    template = template_for(crop_size)
    assert template.dtype == torch.float64
    assert torch.allclose((template + 0.5) / crop_size, torch.tensor(FFHQ_TEMPLATE, dtype=torch.float64))
    assert float(template[0, 0]) == pytest.approx((192.98138 + 0.5) * crop_size / 512 - 0.5)


def test_an_empty_crop_is_refused() -> None:
    with pytest.raises(OptionError, match="crop_size must be an integer from 1 to 8192, got 0"):
        template_for(0)
