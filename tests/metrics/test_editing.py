"""Metrics of edits: their extremes, their conventions, and PIE-Bench's by torchmetrics."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from made import TINY_CLIP
from t2ibench.core.weights import WeightsFinder
from t2ibench.metrics.clip_score import cosines
from t2ibench.metrics.editing import (
    Outcome,
    background,
    background_lpips,
    background_mse,
    background_psnr,
    background_ssim,
    clip_directional_similarity,
    clip_image_similarity,
    edited_part,
    structure_distance,
)
from t2ibench.metrics.engine import Engine
from t2ibench.metrics.metric import CannotMeasure
from t2ibench.metrics.sample import Asked
from t2ibench.metrics.setup import Setup

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


def test_the_edited_part_and_the_background_make_the_picture(edit):
    _, edited, mask = edit
    np.testing.assert_array_equal(edited_part(edited, mask) + background(edited, mask), edited)
    np.testing.assert_array_equal(edited_part(edited, np.ones_like(mask)), edited)
    with pytest.raises(CannotMeasure, match="nothing is edited"):
        edited_part(edited, np.zeros_like(mask))


class Outcomes:
    """Tells outcomes in turn."""

    label = "outcomes@1"

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = iter(outcomes)

    def __call__(self, picture: np.ndarray, asked: object) -> Outcome:
        return next(self.outcomes)


def asked_for(sample, key: str, picture: np.ndarray, prompt: str, **asked: object):
    found = {kind: Asked(f"{kind}-{key}", lambda value=value: value) for kind, value in asked.items()}
    return replace(sample(key, picture, prompt), asked=found)


def test_success_is_a_share_of_all_and_what_is_kept_of_those_with_something_to_keep(sample, picture):
    observer = Outcomes(Outcome(True, (True, False)), Outcome(False, ()), Outcome(True, (True,)))
    samples = [asked_for(sample, str(n), picture(n, 16, 16), "", edited=np.zeros((2, 16, 16, 3))) for n in range(3)]
    values = Engine(Setup(observers={"edited": observer})).measure(samples, ["edit_success", "objects_kept"])
    success, kept = values["edit_success"], values["objects_kept"]
    assert success.value == pytest.approx(2 / 3)
    assert success.interval[0] > 0 and success.interval[1] < 1
    assert kept.per_image == {"0": 0.5, "2": 1}
    assert kept.value == 0.75
    assert "1 of 3 pictures are without an object" in kept.note
    assert success.identity.startswith("edit_success:outcomes@1:n3:ref-")


def test_the_clip_score_of_the_edited_part_sees_no_other_part(sample, edit, tiny_clip, one_thread):
    source, edited, mask = edit
    setup = Setup(clip_model=TINY_CLIP, clip_pretrained="mine", weights=WeightsFinder({"clip": tiny_clip}))
    name = "clip_score_edited_x100_clamped"

    def value(picture, prompt="a red bus", mask=mask):
        return Engine(setup).measure([asked_for(sample, "one", picture, prompt, edit=mask)], [name])[name]

    clip = Engine(setup).network("clip")
    clip.load()
    alone = clip.features([clip.prepare(edited_part(edited, mask))])
    expected = max(0.0, 100 * float(cosines(alone, clip.texts(["a red bus"]))[0]))
    assert value(edited).value == pytest.approx(expected, abs=1e-4)
    outside = np.where(mask[..., None], edited, 255 - edited)
    assert value(outside).value == value(edited).value
    assert value(source).value != value(edited).value
    assert value(edited, "a frog").identity != value(edited).identity
    assert value(edited, mask=~mask).value != value(edited).value
