"""MultiDiffusion: regions and panoramas against the base, eq. 5 by hand and one window at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import CLIPTokenizer

from t2ibench.adapters import checkpoints, make_adapter, noise
from t2ibench.adapters.multidiffusion_views import region_views, spans, window_views
from t2ibench.core.errors import BenchError
from t2ibench.datasets.request import Pixels, Region, Request

SIZE = 64
LEFT, RIGHT, MIDDLE = slice(0, 32), slice(32, 64), slice(16, 48)


def mask(*, columns: slice = slice(None), rows: slice = slice(None), size: tuple[int, int] = (SIZE, SIZE)) -> Pixels:
    inside = np.zeros(size, bool)
    inside[rows, columns] = True
    return Pixels.of(inside)


def request(index: int = 0, *regions: Region, width: int = SIZE, height: int = SIZE, **more: Any) -> Request:
    return Request(f"p{index}", f"a field {index}", seed=3, height=height, width=width, regions=regions, **more)


CAT, DOG = Region("a cat", mask(columns=LEFT)), Region("a dog", mask(columns=MIDDLE, rows=slice(24, 64)))


def loaded(checkpoint: Path, *options: str, name: str = "multidiffusion", **settings: object):
    sampling = {"scheduler": "ddim", "steps": 5, "guidance": 3} | settings
    chosen = ",".join([*options, *(f"{key}={value}" for key, value in sampling.items())])
    place = f"base=sd15[checkpoint={checkpoint}]" if name == "multidiffusion" else f"checkpoint={checkpoint}"
    made = make_adapter(f"{name}[{place},{chosen}]")
    made.load("cpu", "fp32")
    return made


def difference(ours: np.ndarray, theirs: np.ndarray) -> int:
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype == np.uint8
    return int(np.abs(ours.astype(int) - theirs).max())


class Recorder:
    """What goes into and comes out of the UNet and the sampler's steps of an adapter."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, made: Any) -> None:
        self.calls: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.steps: list[tuple[int, np.ndarray, np.ndarray]] = []
        predict, step, forward = made.base.predict, made.base.step, made.base.unet.forward
        self.unet_batches: list[int] = []

        def seen_predict(latents: Any, timestep: Any, embeddings: Any, *more: Any) -> Any:
            predicted = predict(latents, timestep, embeddings, *more)
            self.calls.append((latents.numpy().copy(), embeddings.numpy().copy(), predicted.numpy().copy()))
            return predicted

        def seen_step(requests: Any, predicted: Any, index: int, latents: Any) -> Any:
            stepped = step(requests, predicted, index, latents)
            self.steps.append((int(made.base.scheduler.timesteps[index]), latents.numpy().copy(), stepped.numpy()))
            return stepped

        def seen_forward(sample: Any, *more: Any, **named: Any) -> Any:
            self.unet_batches.append(len(sample))
            return forward(sample, *more, **named)

        monkeypatch.setattr(made.base, "predict", seen_predict)
        monkeypatch.setattr(made.base, "step", seen_step)
        monkeypatch.setattr(made.base.unet, "forward", seen_forward)


@pytest.fixture(scope="module", autouse=True)
def loaded_once() -> Iterator[None]:
    """Each tiny network and tokenizer is read once for all tests here, which would else do little but read."""
    load, tokenizer = cache(checkpoints.load_component), cache(CLIPTokenizer.from_pretrained)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            checkpoints, "load_component", lambda kinds, *place, dtype: load(tuple(kinds), *place, dtype=dtype)
        )
        patch.setattr(CLIPTokenizer, "from_pretrained", tokenizer)
        yield


@pytest.fixture(scope="session")
def v_prediction(sd_factory: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As SD2.x has it: linear projections around attention, and v-prediction."""
    folder = sd_factory(tmp_path_factory.mktemp("tiny") / "sd2", unet={"use_linear_projection": True})
    file = folder / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"prediction_type": "v_prediction"}))
    return folder


# Regions


@pytest.mark.parametrize("scheduler", ["ddim", "pndm", "dpm++", "euler"])
def test_one_region_over_everything_is_the_base_with_its_prompt(tiny_sd: Path, scheduler: str) -> None:
    asked = request(0, Region("a cat", mask()), negative_prompt="blurry")
    ours = loaded(tiny_sd, "bootstrapping=0", scheduler=scheduler).generate([asked])
    theirs = loaded(tiny_sd, name="sd15", scheduler=scheduler).generate([replace(asked, prompt="a cat")])
    assert difference(ours, theirs) <= 1
    other = loaded(tiny_sd, name="sd15", scheduler=scheduler).generate([asked])
    assert difference(ours, other) > 1


@pytest.mark.parametrize("bootstrapping", ["0", "0.4"])
@pytest.mark.parametrize("family", ["tiny_sd", "v_prediction"])
def test_every_step_is_eq_5(
    family: str, bootstrapping: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The regions' own DDIM steps, from what each is shown, averaged by the masks."""
    from_here = globals()["request"]
    made = loaded(request.getfixturevalue(family), f"bootstrapping={bootstrapping}", "background=white")
    seen = Recorder(monkeypatch, made)
    made.generate([from_here(0, CAT, DOG)])
    masks = np.stack([CAT.mask.read()[::8, ::8], DOG.mask.read()[::8, ::8]])
    masks = np.concatenate([~masks.any(0, keepdims=True), masks]).astype(np.float64)
    assert len(seen.calls) == len(seen.steps) == 5  # three regions are one call
    alphas = made.base.scheduler.alphas_cumprod.double().numpy()
    kind = made.base.scheduler.config.prediction_type
    for (shown, _, predicted), (timestep, _, fused) in zip(seen.calls, seen.steps, strict=True):
        stepped = [ddim(z.astype(float), e, alphas, timestep, kind) for z, e in zip(shown, predicted, strict=True)]
        expected = np.einsum("vhw,vchw->chw", masks, np.stack(stepped)) / masks.sum(0)
        assert np.abs(fused[0] - expected).max() < 1e-4


def ddim(latents: np.ndarray, predicted: np.ndarray, alphas: np.ndarray, timestep: int, kind: str) -> np.ndarray:
    """Eq. 12 of Song et al. 2021 with eta 0; five steps of a thousand."""
    now, after = alphas[timestep], alphas[max(timestep - 200, 0)]  # set_alpha_to_one is off
    if kind == "v_prediction":
        clean = now**0.5 * latents - (1 - now) ** 0.5 * predicted
        error = now**0.5 * predicted + (1 - now) ** 0.5 * latents
    else:
        clean, error = (latents - (1 - now) ** 0.5 * predicted) / now**0.5, predicted
    return after**0.5 * clean + (1 - after) ** 0.5 * error


@pytest.mark.parametrize(("share", "steps"), [("0", 0), ("0.4", 2), ("paper", 1), ("code", 2), ("1", 5)])
def test_bootstrapping_changes_the_first_steps_of_regions_outside_their_masks(
    tiny_sd: Path, share: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = loaded(tiny_sd, f"bootstrapping={share}", "background=#ff0000")
    seen = Recorder(monkeypatch, made)
    asked = request(0, CAT, DOG)
    made.generate([asked])
    red = np.full((1, SIZE, SIZE, 3), (255, 0, 0), np.uint8)
    start = noise.normal(asked, (4, 8, 8))
    alphas = made.base.scheduler.alphas_cumprod.numpy()
    masks = [region.mask.read()[::8, ::8] for region in asked.regions]
    for step, ((shown, _, _), (timestep, latents, _)) in enumerate(zip(seen.calls, seen.steps, strict=True)):
        noised = alphas[timestep] ** 0.5 * made.base.encode(red)[0].numpy() + (1 - alphas[timestep]) ** 0.5 * start
        assert (shown[0] == latents[0]).all(), "the background is never bootstrapped"
        for view, inside in zip(shown[1:], masks, strict=True):
            assert (view[:, inside] == latents[0][:, inside]).all()
            outside = noised if step < steps else latents[0]
            assert np.abs(view[:, ~inside] - outside[:, ~inside]).max() < 1e-5


def test_random_backgrounds_come_from_the_request_the_region_and_the_step(
    tiny_sd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = loaded(tiny_sd, "bootstrapping=1", steps=4)
    seen = Recorder(monkeypatch, made)
    asked = request(0, CAT, CAT)
    first = made.generate([asked])
    again = loaded(tiny_sd, "bootstrapping=1", steps=4).generate([asked])
    assert (first == again).all()
    start = noise.normal(asked, (4, 8, 8))
    alphas = made.base.scheduler.alphas_cumprod.numpy()
    drawn = set()
    for (shown, _, _), (timestep, _, _) in zip(seen.calls, seen.steps, strict=True):
        for view in shown[1:]:
            plain = (view - (1 - alphas[timestep]) ** 0.5 * start)[:, :, 7] / alphas[timestep] ** 0.5
            drawn.add(tuple(plain.mean(1).round(3)))
    assert len(drawn) > 4, "eight draws from 64 colours"
    assert len(made._backgrounds) <= 8, "each colour is encoded once"
    for changed in (replace(asked, seed=4), replace(asked, sample=1)):
        assert noise.key(changed, "background of region 1") != noise.key(asked, "background of region 1")


def test_a_prompt_acts_within_its_region_only_through_the_unet(tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = loaded(tiny_sd, steps=1)
    seen = Recorder(monkeypatch, made)
    made.generate([request(0, CAT)])
    made.generate([request(0, replace(CAT, prompt="a ship"))])
    (_, _, cat), (_, _, ship) = seen.steps
    inside = CAT.mask.read()[4::8, 4::8]
    assert (cat[0][:, ~inside] == ship[0][:, ~inside]).all()
    assert (cat[0][:, inside] != ship[0][:, inside]).any()


def test_overlapping_regions_are_averaged() -> None:
    views = region_views(request(0, CAT, DOG), 8, 8)
    background, cat, dog = views
    assert [view.prompt for view in views] == ["a field 0", "a cat", "a dog"]
    assert (sum(view.share for view in views) == 1).all()
    both = cat.inside & dog.inside
    assert both.any()
    assert (cat.share[both] == 0.5).all() and (dog.share[both] == 0.5).all()
    assert (cat.share[cat.inside & ~both] == 1).all()
    assert (background.share == ~(cat.inside | dog.inside)).all()
    assert background.inside is None


@pytest.mark.parametrize(("first", "end"), [(8, 24), (5, 21), (12, 28)])
def test_a_latent_is_inside_a_mask_where_its_middle_is(first: int, end: int) -> None:
    (_, view) = region_views(request(0, Region("a cat", mask(columns=slice(first, end)))), 8, 8)
    assert view.inside[0].nonzero()[0].tolist() == [1, 2]  # their middles are columns 12 and 20


def test_where_no_region_is_the_prompt_of_the_background_counts(tiny_sd: Path) -> None:
    plain, told = (request(0, CAT, background=ground) for ground in (None, "a lake"))
    assert [region_views(asked, 8, 8)[0].prompt for asked in (plain, told)] == ["a field 0", "a lake"]
    as_prompt = replace(plain, prompt="a lake")
    made = loaded(tiny_sd, steps=2)
    assert (made.generate([told]) == made.generate([as_prompt])).all()
    assert "background" not in plain.identity()
    assert told.identity()["background"] == "a lake"
    (note,) = made.notes(replace(told, background="word " * 80 + "the end"))
    assert "the end" in note


def test_words_are_those_of_all_regions_and_no_masks(tiny_sd: Path) -> None:
    made, base = loaded(tiny_sd, "mode=words", steps=2), loaded(tiny_sd, name="sd15", steps=2)
    asked = request(0, CAT, DOG, background="a lake")
    plain = replace(request(0), prompt="a cat and a dog on a lake")
    assert (made.generate([asked]) == base.generate([plain])).all()
    swapped = replace(asked, regions=(replace(CAT, mask=DOG.mask), replace(DOG, mask=CAT.mask)))
    assert (made.generate([swapped]) == made.generate([asked])).all()
    assert made.traits.regions
    assert {name: stage.forwards(asked) for name, stage in made.stages().items()} == {
        name: stage.forwards(plain) for name, stage in base.stages().items()
    }
    (note,) = made.notes(replace(asked, background="word " * 80 + "the end"))
    assert "the end" in note
    with pytest.raises(BenchError, match="prompt 'p0' has no regions"):
        made.generate([request(0)])


def test_regions_that_leave_no_background_cost_no_view_of_it(tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = loaded(tiny_sd)
    seen = Recorder(monkeypatch, made)
    asked = request(0, CAT, Region("a dog", mask(columns=RIGHT)))
    made.generate([asked])
    assert seen.unet_batches == [4] * 5
    assert made.stages()["unet"].forwards(asked) == 20


# Panoramas


def test_windows_of_a_panorama_are_as_many_as_the_authors() -> None:
    for width, count in ((2048, 25), (4096, 57), (4608, 65)):
        assert len(window_views("", 64, width // 8, 64, 8, (False, False))) == count
    assert len(window_views("", 64, 256, 64, 8, (False, True))) == 32
    assert len(window_views("", 128, 128, 64, 32, (False, False))) == 9


def test_the_last_window_is_flush_with_the_border() -> None:
    assert [span[0] for span in spans(21, 8, 4, wrap=False)] == [0, 4, 8, 12, 13]
    assert [span[0] for span in spans(20, 8, 4, wrap=False)] == [0, 4, 8, 12]
    assert spans(12, 8, 4, wrap=True)[-1].tolist() == [8, 9, 10, 11, 0, 1, 2, 3]
    assert [span.tolist() for span in spans(8, 8, 4, wrap=True)] == [list(range(8))]
    for length in range(9, 40):
        for stride in (1, 3, 8):
            for wrap in (False, True):
                assert set(np.concatenate(spans(length, 8, stride, wrap))) == set(range(length))


@pytest.mark.parametrize("scheduler", ["ddim", "lcm"])
@pytest.mark.parametrize("wrap", ["no", "yes"])
def test_a_picture_that_fits_into_a_window_is_the_base(tiny_sd: Path, scheduler: str, wrap: str) -> None:
    asked = [request(0), request(1, negative_prompt="blurry")]
    made = loaded(tiny_sd, "mode=panorama", f"wrap={wrap}", scheduler=scheduler)
    assert (made.generate(asked) == loaded(tiny_sd, name="sd15", scheduler=scheduler).generate(asked)).all()


def naive(made: Any, asked: Request, window: int, starts: list[tuple[int, int]]) -> Any:
    """One window at a time: values and counts, summed and divided, a DDIM step of each window."""
    import torch

    base = made.base
    with torch.inference_mode():
        embeddings = base.embed([asked])
        latents = base.noise([asked])
        for timestep in base.scheduler.timesteps:
            value, count = torch.zeros_like(latents), torch.zeros_like(latents)
            for row, column in starts:
                part = (..., slice(row, row + window), slice(column, column + window))
                predicted = base.predict(latents[part], timestep, embeddings)
                value[part] += base.scheduler.step(predicted, timestep, latents[part]).prev_sample
                count[part] += 1
            latents = value / count
        return base.decode(latents)


@pytest.mark.parametrize(("height", "width", "stride"), [(64, 136, 16), (64, 128, 24), (96, 96, 32)])
def test_panoramas_are_those_of_one_window_at_a_time(tiny_sd: Path, height: int, width: int, stride: int) -> None:
    made = loaded(tiny_sd, "mode=panorama", f"stride={stride}")
    asked = request(0, height=height, width=width)
    rows, columns = ([span[0] for span in spans(side // 8, 8, stride // 8, wrap=False)] for side in (height, width))
    theirs = naive(made, asked, 8, [(row, column) for row in rows for column in columns])
    assert difference(made.generate([asked]), theirs) <= 1


@pytest.mark.parametrize(("wrap", "height", "width", "axis"), [("yes", 64, 192, 3), ("height", 192, 64, 2)])
def test_a_wrapped_panorama_has_no_border(
    tiny_sd: Path, wrap: str, height: int, width: int, axis: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rolled noise makes the rolled latents; without wrapping it does not."""
    asked = request(0, height=height, width=width)
    changes = {}
    for option in (wrap, "no"):
        made = loaded(tiny_sd, "mode=panorama", "stride=32", f"wrap={option}", steps=3)
        latents, draw = made._sample([asked]), made.base.noise
        monkeypatch.setattr(made.base, "noise", lambda requests, draw=draw: draw(requests).roll(8, axis))
        changes[option] = (made._sample([asked]).roll(-8, axis) - latents).abs().max()
    assert changes[wrap] < 1e-4
    assert changes["no"] > 1e-2


@pytest.mark.parametrize(("wrap", "axis"), [("yes", 2), ("height", 1), ("no", None)])
def test_the_decoder_sees_across_a_wrapped_border(
    tiny_sd: Path, wrap: str, axis: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it makes of the latents beyond the last column is the first column again, so that the two ends meet."""
    size = {"height": 192} if axis == 1 else {"width": 192}
    made = loaded(tiny_sd, "mode=panorama", "stride=64", f"wrap={wrap}", steps=1)
    decode, decoded = made.base.decode, []
    monkeypatch.setattr(made.base, "decode", lambda latents: (decoded.append(decode(latents)), decoded[0])[1])
    picture = made.generate([request(0, **size)])
    if axis is None:
        assert (decoded[0] == picture).all()
    else:
        margin = 18 * 8
        assert decoded[0].shape[axis] == 192 + 2 * margin
        assert (decoded[0].take(range(margin, margin + 192), axis) == picture).all()
        beyond, before = range(margin + 192, margin + 200), range(margin - 8, margin)
        assert difference(decoded[0].take(beyond, axis), picture.take(range(8), axis)) <= 1
        assert difference(decoded[0].take(before, axis), picture.take(range(184, 192), axis)) <= 1


def test_wrapping_one_way_leaves_the_other_alone(tiny_sd: Path) -> None:
    asked = request(0, height=96, width=128)
    counts = {wrap: len(loaded(tiny_sd, "mode=panorama", "stride=32", f"wrap={wrap}").views(asked))
              for wrap in ("no", "width", "height", "yes")}  # fmt: skip
    assert counts == {"no": 2 * 3, "width": 2 * 4, "height": 3 * 3, "yes": 3 * 4}


def test_tiles_know_nothing_of_each_other(tiny_sd: Path) -> None:
    made, base = loaded(tiny_sd, "mode=tiles"), loaded(tiny_sd, name="sd15")
    asked = [request(0, height=128, width=192), request(1, height=128, width=192)]
    pictures = made.generate(asked)
    for picture, one in zip(pictures, asked, strict=True):
        tiles = [replace(one, height=64, width=64, prompt_id=f"{one.prompt_id} tile {index}") for index in range(6)]
        for index, tile in enumerate(base.generate(tiles)):
            row, column = 64 * (index // 3), 64 * (index % 3)
            assert difference(picture[row : row + 64, column : column + 64], tile) <= 1
    assert len({picture.tobytes() for picture in base.generate(tiles)}) == 6, "every tile has noise of its own"
    assert made.noise_digest(asked[0]) != base.noise_digest(asked[0])
    assert made.stages()["unet"].forwards(asked[0]) == 6 * 2 * 5


# Batches

MIXED = [
    request(0, CAT, DOG),
    request(1, Region("a ship", mask(rows=LEFT)), negative_prompt="blurry"),
    request(2, CAT, DOG, Region("a bird", mask(rows=RIGHT))),
]
WIDE = [request(index, width=128) for index in range(2)]


@pytest.mark.parametrize(("options", "asked"), [([], MIXED), (["mode=panorama", "stride=16"], WIDE)])
def test_the_size_of_the_calls_decides_the_rounding_only(tiny_sd: Path, options: list[str], asked: list) -> None:
    whole = loaded(tiny_sd, *options).generate(asked)
    for views in (1, 4):
        assert difference(loaded(tiny_sd, *options, f"views_per_batch={views}").generate(asked), whole) <= 1


@pytest.mark.parametrize(("options", "asked"), [([], MIXED), (["mode=panorama", "stride=16"], WIDE)])
def test_pictures_depend_neither_on_their_order_nor_on_their_batch(
    tiny_sd: Path, options: list[str], asked: list
) -> None:
    made = loaded(tiny_sd, *options)
    together = made.generate(asked)
    assert difference(made.generate(asked[::-1])[::-1], together) <= 1
    assert difference(np.concatenate([made.generate([one]) for one in asked]), together) <= 1


@pytest.mark.parametrize(
    ("options", "asked", "views"), [([], MIXED, 3 + 2 + 4), (["mode=panorama", "stride=16"], WIDE, 2 * 5)]
)
@pytest.mark.parametrize("size", [1, 4, 100])
def test_views_of_all_requests_share_calls(
    tiny_sd: Path, options: list[str], asked: list, views: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = loaded(tiny_sd, *options, f"views_per_batch={size}", steps=2)
    seen = Recorder(monkeypatch, made)
    made.generate(asked)
    assert len(seen.unet_batches) == 2 * -(-views // size)
    assert sum(seen.unet_batches) == 2 * 2 * views
    assert max(seen.unet_batches) == 2 * min(size, views)
    assert sum(made.stages()["unet"].forwards(one) for one in asked) == sum(seen.unet_batches)


def test_every_text_is_encoded_once(tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = loaded(tiny_sd)
    texts: list[str] = []
    encode = made.base.encode_text
    monkeypatch.setattr(made.base, "encode_text", lambda asked: (texts.extend(asked), encode(asked))[1])
    made.generate([request(0, CAT, DOG), request(0, CAT), request(1, DOG)])
    assert sorted(texts) == ["", "a cat", "a dog", "a field 0", "a field 1"]
    assert made.stages()["text_encoder"].forwards(request(0, CAT, DOG)) == 3


def test_without_guidance_a_view_is_one_row(tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = loaded(tiny_sd, guidance=1, steps=2)
    seen = Recorder(monkeypatch, made)
    made.generate([request(0, CAT)])
    assert seen.unet_batches == [2, 2]


def test_a_sampler_that_draws_noise_draws_once_for_all_views(tiny_sd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = loaded(tiny_sd, "bootstrapping=0", scheduler="lcm", guidance=1, steps=2)
    seen = Recorder(monkeypatch, made)
    draws = []
    drawn = noise.generators
    monkeypatch.setattr(noise, "generators", lambda *key: (draws.append(key), drawn(*key))[1])
    made.generate([request(0, CAT)])
    assert [(len(requests), name, step) for requests, name, step in draws] == [(1, "scheduler", 0), (1, "scheduler", 1)]
    assert len(seen.steps) == 2


# Cost, settings, errors


def test_cost_counts_views_at_their_own_size(tiny_sd: Path) -> None:
    from t2ibench.bench.rows import AdapterRow

    asked = request(0, width=192)
    method = f"multidiffusion[base=sd15[checkpoint={tiny_sd}],mode=panorama,stride=32,wrap=yes,steps=3]"
    row = AdapterRow(method, make_adapter(method), [asked], "cpu", "fp32")
    row.load()
    plain = f"sd15[checkpoint={tiny_sd},steps=3,scheduler=ddim]"
    base = AdapterRow(plain, make_adapter(plain), [request(0)], "cpu", "fp32")
    base.load()
    ours, theirs = row.facts().cost, base.facts().cost
    assert (ours.forwards_per_image, theirs.forwards_per_image) == (6 * 2 * 3, 2 * 3)
    assert ours.macs_per_forward == theirs.macs_per_forward
    (decoded,) = row.adapter.stages()["decoder"].inputs(asked, "meta")
    assert decoded.shape == (1, 4, 8, 24 + 2 * 18)
    assert row.trial() > 0


def test_cost_is_the_mean_of_requests_with_other_numbers_of_regions(tiny_sd: Path) -> None:
    from t2ibench.bench.rows import AdapterRow

    method = f"multidiffusion[base=sd15[checkpoint={tiny_sd}],steps=3]"
    row = AdapterRow(method, make_adapter(method), [MIXED[0], MIXED[2]], "cpu", "fp32")
    row.load()
    assert row.facts().cost.forwards_per_image == 3.5 * 2 * 3, "3 and 4 views"


def test_settings_and_traits() -> None:
    regions, panorama = make_adapter("multidiffusion"), make_adapter("multidiffusion[mode=panorama]")
    assert (regions.settings.scheduler, regions.settings.steps, regions.settings.guidance) == ("ddim", 50, 7.5)
    assert (regions.traits.regions, panorama.traits.regions) == (True, False)
    assert regions.layout.bootstrapping == 0.2
    assert make_adapter("multidiffusion[base=sd15[steps=8]]").settings.steps == 8


def test_the_window_is_what_the_unet_was_trained_on(tiny_sd: Path, tmp_path: Path) -> None:
    assert loaded(tiny_sd, "mode=panorama").window == 8
    other = shutil.copytree(tiny_sd, tmp_path / "other")
    file = other / "unet" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"sample_size": [12, 16]}))
    assert loaded(other, "mode=panorama").window == 12
    assert loaded(other, "mode=panorama", "window=64").window == 8


def test_what_is_cut_from_the_prompts_of_regions_is_noted(tiny_sd: Path) -> None:
    (note,) = loaded(tiny_sd).notes(request(0, CAT, Region("word " * 80 + "the forgotten end", mask())))
    assert "the forgotten end" in note


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ([], "prompt 'p0' has no regions"),
        ([Region("a cat", mask(columns=slice(0, 0)))], r"region 1 \('a cat'\) of prompt 'p0' covers nothing: .* empty"),
        ([CAT, Region("a dog", mask(size=(64, 128)))], r"region 2 .* lies outside: its mask is 128×64, the picture 64"),
        ([Region("a fly", mask(columns=slice(5, 12)))], r"covers nothing at 1/8"),
    ],
)
def test_regions_that_cannot_be_are_one_line(tiny_sd: Path, regions: list[Region], message: str) -> None:
    with pytest.raises(BenchError, match=message) as caught:
        loaded(tiny_sd).generate([request(0, *regions)])
    assert "\n" not in str(caught.value)


def test_sizes_that_cannot_be_are_one_line(tiny_sd: Path) -> None:
    with pytest.raises(BenchError, match="100×64: sides must be multiples of 8"):
        loaded(tiny_sd, "mode=panorama").generate([request(0, width=100)])
    with pytest.raises(BenchError, match="96×64, which tiles of 64×64 do not fill"):
        loaded(tiny_sd, "mode=tiles").generate([request(0, width=96)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("mode=panaroma", "mode=panaroma is unknown (known: regions, words, panorama, tiles)"),
        ("stride=64", "stride=64 belongs to mode=panorama, not to mode=regions"),
        ("mode=panorama,bootstrapping=0.2", "bootstrapping=0.2 belongs to mode=regions, not to mode=panorama"),
        ("mode=words,bootstrapping=0.2", "bootstrapping=0.2 belongs to mode=regions"),
        ("mode=tiles,wrap=yes", "wrap=yes belongs to mode=panorama"),
        ("bootstrapping=20", "bootstrapping=20 must be a share of the steps, 0 to 1"),
        ("bootstrapping=some", "bootstrapping=some must be"),
        ("bootstrapping=nan", "bootstrapping=nan must be"),
        ("background=transparentish", "background=transparentish must be random or a colour"),
        ("mode=panorama,wrap=around", "wrap=around is unknown (known: no, yes, height, width)"),
        ("mode=panorama,stride=0", "stride=0 must be a whole number of at least 1"),
        ("mode=panorama,window=big", "window=big must be a whole number"),
        ("views_per_batch=0", "views_per_batch=0 must be a whole number of at least 1"),
        ("base=scenes", "base=scenes is no latent diffusion model"),
    ],
)
def test_bad_options_are_one_line(options: str, message: str) -> None:
    with pytest.raises(BenchError) as caught:
        make_adapter(f"multidiffusion[{options}]")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("window=60", "window=60 must be a multiple of 8"),
        ("stride=12", "stride=12 must be a multiple of 8"),
        ("stride=72", "stride=72 leaves gaps between windows of 64 pixels: at most stride=64"),
    ],
)
def test_windows_that_do_not_fit_the_latents_are_one_line(tiny_sd: Path, options: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        loaded(tiny_sd, "mode=panorama", options)
