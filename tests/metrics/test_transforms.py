"""Named transforms against torchvision's, whose rounding they share."""

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from t2ibench.core.errors import BenchError
from t2ibench.metrics.transforms import parse_transform


@pytest.mark.parametrize("size", [(70, 101), (101, 70), (64, 64), (40, 30), (33, 400)])
def test_short_and_crop_are_torchvisions(picture, size):
    source = picture(1, *size)
    theirs = Compose([Resize(40, InterpolationMode.BICUBIC), CenterCrop(33)])(Image.fromarray(source))
    np.testing.assert_array_equal(parse_transform("short40-crop33")(source), np.asarray(theirs))


def test_square_ignores_the_aspect_ratio(picture):
    source = picture(1, 70, 101)
    theirs = Image.fromarray(source).resize((32, 32), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(parse_transform("square32")(source), np.asarray(theirs))


def test_as_is_and_fitting_sizes_change_nothing(picture):
    source = picture(1, 48, 48)
    for name in ("as-is", "square48", "short48-crop48"):
        np.testing.assert_array_equal(parse_transform(name)(source), source)


@pytest.mark.parametrize("name", ["", "square", "square0", "square-3", "short4-crop5", "short4", "crop4", "as-is "])
def test_an_unknown_name_says_the_grammar(name):
    with pytest.raises(BenchError, match="expected as-is, squareN, randomN, or shortN-cropM"):
        parse_transform(name)


def test_a_random_crop_is_somewhere_and_always_the_same(picture):
    crop = parse_transform("random16")
    sources = [picture(seed, 16, 64) for seed in range(8)]
    places = set()
    for source in sources:
        found = crop(source)
        np.testing.assert_array_equal(found, crop(source.copy()))
        places |= {left for left in range(49) if np.array_equal(source[:, left : left + 16], found)}
    assert len(places) > 4
    np.testing.assert_array_equal(crop(sources[0][:, :16]), sources[0][:, :16])
    with pytest.raises(BenchError, match="a picture of 12×16 has no crop of 16×16"):
        crop(sources[0][:, :12])
