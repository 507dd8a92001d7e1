"""Metrics of edits: their extremes, their conventions, and PIE-Bench's by torchmetrics."""

import numpy as np
import pytest
import torch

from t2ibench.metrics.editing import (
    background,
    background_lpips,
    background_mse,
    background_psnr,
    background_ssim,
    clip_directional_similarity,
    clip_image_similarity,
    structure_distance,
)
from t2ibench.metrics.metric import CannotMeasure

RANDOM = np.random.default_rng(8)


def unit(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_direction_is_1_along_the_text_and_minus_1_against_it():
    source, forwards, backwards = unit([1, 0, 0]), unit([1, 1, 0]), unit([1, -1, 0])
    assert clip_directional_similarity(source, forwards, source, forwards)[0] == pytest.approx(1)
    assert clip_directional_similarity(source, backwards, source, forwards)[0] < 0
    assert clip_directional_similarity(source, unit([1, 0, 1]), source, forwards)[0] < 0.7


def test_direction_is_the_cosine_of_the_differences_of_unit_embeddings():
    groups = [torch.from_numpy(RANDOM.normal(size=(7, 5))) for _ in range(4)]
    source, edited, before, after = (torch.nn.functional.normalize(group) for group in groups)
    expected = torch.nn.functional.cosine_similarity(edited - source, after - before)
    ours = clip_directional_similarity(*(group.numpy() for group in groups))
    np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_an_unchanged_picture_has_no_direction():
    rows = RANDOM.normal(size=(2, 5))
    np.testing.assert_array_equal(clip_directional_similarity(rows, rows, rows, rows + 1), [0, 0])


def test_image_similarity_is_the_cosine():
    np.testing.assert_allclose(clip_image_similarity(unit([1, 0], [2, 0]), unit([1, 1], [3, 0])), [0.5**0.5, 1])


def test_structure_is_the_mean_squared_difference_of_self_similarities():
    a, b = RANDOM.normal(size=(2, 9, 6))
    similarities = []
    for keys in (torch.from_numpy(a), torch.from_numpy(b)):
        similarities.append(torch.nn.functional.cosine_similarity(keys[:, None], keys[None], dim=-1))
    assert structure_distance(a, b) == pytest.approx(float(torch.nn.functional.mse_loss(*similarities)), abs=1e-12)
    assert structure_distance(a, 5 * a) == pytest.approx(0, abs=1e-15)
    with pytest.raises(CannotMeasure, match="unlike shape"):
        structure_distance(a, b[:5])


@pytest.fixture
def edit(picture) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture, an edit of it with some change outside too, and the mask of the edit."""
    source = picture(1, 48, 40)
    mask = np.zeros((48, 40), bool)
    mask[10:30, 5:25] = True
    edited = np.where(mask[..., None], picture(2, 48, 40), source)
    edited[40:] = np.clip(edited[40:].astype(int) + 12, 0, 255)
    return source, edited, mask


def as_batch(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture / 255).permute(2, 0, 1)[None].float()


def test_the_background_is_pie_benchs_by_torchmetrics(edit, one_thread):
    import torchmetrics.functional.image as theirs

    source, edited, mask = edit
    sides = [as_batch(side * ~mask[..., None]) for side in (edited, source)]
    psnr = float(theirs.peak_signal_noise_ratio(*sides, data_range=1.0))
    ssim = float(theirs.structural_similarity_index_measure(*sides, data_range=1.0))
    assert background_psnr(*edit) == pytest.approx(psnr, abs=1e-4)
    assert background_ssim(*edit) == pytest.approx(ssim, abs=1e-5)
    assert background_mse(*edit) == pytest.approx(float(torch.mean((sides[0] - sides[1]) ** 2)), rel=1e-5)


def test_what_the_edit_does_inside_its_mask_does_not_matter(edit):
    source, edited, mask = edit
    other = np.where(mask[..., None], 255 - edited, edited)
    for metric in (background_psnr, background_ssim, background_mse):
        assert metric(source, edited, mask) == metric(source, other, mask)

    def mean_difference(pictures, targets):
        return [float(np.abs(a.astype(float) - b).mean()) for a, b in zip(pictures, targets, strict=True)]

    change = background_lpips(source, edited, mask, mean_difference)
    assert change == background_lpips(source, other, mask, mean_difference) > 0


@pytest.mark.parametrize(
    ("mask", "message"), [(np.ones((48, 40), bool), "no background"), (np.zeros((40, 48), bool), "the mask is")]
)
def test_a_mask_that_leaves_nothing_or_does_not_fit(edit, mask, message):
    with pytest.raises(CannotMeasure, match=message):
        background(edit[0], mask)
