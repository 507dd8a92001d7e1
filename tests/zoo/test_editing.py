"""The miniature edits what it is asked to and leaves the rest alone; a fault planted in a method is noticed.

Floors are looser than what the suite mini-editing measures of 64 edits: these are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from t2ibench.adapters import make_adapter, plug_and_play
from t2ibench.adapters.checkpoints import fingerprint
from t2ibench.adapters.sdedit import SDEdit
from t2ibench.adapters.unitune import UniTune
from t2ibench.bench.observers import observers_of
from t2ibench.core.weights import WeightsFinder
from t2ibench.core.zoo import FOLDER
from t2ibench.datasets.request import Pixels, Request
from t2ibench.datasets.scene_edits import SCENE_EDITS, Edit, edit_of
from t2ibench.metrics.editing import background_psnr
from t2ibench.metrics.regions import region_iou

pytestmark = pytest.mark.slow

Pictures = NDArray[np.uint8]

BASE = "base=sd15[checkpoint=zoo:mini-sd],steps=12"
SDEDIT = f"sdedit[{BASE},guidance=3,t0={{}}]"
INVERTED = f"plug-and-play[{BASE},guidance=3,inversion_steps=12,feature_layer=4{{}}]"
PLUG_AND_PLAY = INVERTED.format(",feature_threshold=0.3,attention_threshold=0.3")
INJECTED = INVERTED.format("")
NOT_INJECTED = INVERTED.format(",feature_threshold=0,attention_threshold=0")
UNITUNE = f"unitune[{BASE},guidance=2.5,prompt_guidance=source,token=q,rate=3e-4,fine_tuning_steps=48]"
LOOK = observers_of(SCENE_EDITS, ("edited", "regions"), WeightsFinder())
FEW, FOREIGN, TUNED = 10, 6, 2
"""Edits: of 5 sources, of 3, and of the one that a UNet is fine-tuned on."""
FIRST = 2
"""Both edits of the source before fail: 48 steps of fine-tuning are few."""


class Figures(NamedTuple):
    """Means over edits."""

    success: float
    layout: float
    """IoU of masks."""
    background: float
    """PSNR in dB."""


@cache
def edits() -> list[Edit]:
    return [edit_of(prompt.id, prompt.text) for prompt in SCENE_EDITS.prompts(Path())[FIRST : FIRST + FEW]]


def request(edit: Edit, caption: str = "") -> Request:
    return Request(edit.id, caption or edit.caption, height=64, width=64,
                   source=Pixels.of(edit.before.image), source_prompt=edit.before.caption)  # fmt: skip


def loaded(method: str) -> Any:
    adapter = make_adapter(method)
    adapter.load("cpu", "fp32")
    return adapter


def measured(pictures: Sequence[Pictures]) -> Figures:
    found = list(zip(pictures, edits(), strict=False))
    sides = [np.stack([edit.before.image, edit.after.image]) for _, edit in found]
    return Figures(
        float(np.mean([LOOK["edited"](p, pair).done for (p, _), pair in zip(found, sides, strict=True)])),
        layout(pictures),
        float(np.mean([background_psnr(edit.before.image, picture, edit.mask) for picture, edit in found])),
    )


def layout(pictures: Sequence[Pictures]) -> float:
    found = zip(pictures, edits(), strict=False)
    return float(np.mean([region_iou(LOOK["regions"](p, edit.layout), edit.layout).mean for p, edit in found]))


def edited(adapter: Any, count: int = FEW) -> Figures:
    return measured(adapter.generate([request(edit) for edit in edits()[:count]]))


@cache
def figures(method: str, count: int = FEW) -> Figures:
    return edited(loaded(method), count)


def foreign_layout(adapter: Any) -> float:
    """How much of the sources' layout is kept where the captions are those of other scenes."""
    some = edits()[:FOREIGN]
    return layout(
        adapter.generate([request(edit, other.caption) for edit, other in zip(some, some[2:] + some[:2], strict=True)])
    )


@cache
def not_injected() -> float:
    return foreign_layout(loaded(NOT_INJECTED))


@cache
def unitune() -> Any:
    """Loaded once: its fine-tuned UNets do not depend on how they are sampled from."""
    return loaded(UNITUNE)


def tuned(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Figures:
    for name, value in settings.items():
        monkeypatch.setattr(unitune(), name, value)
    return edited(unitune(), TUNED)


def sdedit_gives_up_the_source_for_the_caption(low: Figures, middle: Figures, high: Figures) -> bool:
    return (
        low.success < high.success
        and low.background - 2 > middle.background > high.background + 2
        and low.layout > middle.layout > high.layout
    )


def keeps_more(one: Figures, other: Figures) -> bool:
    return one.background > other.background + 2 and one.layout > other.layout + 0.1


def test_sdedit_gives_up_the_source_for_the_caption() -> None:
    assert sdedit_gives_up_the_source_for_the_caption(*(figures(SDEDIT.format(t0)) for t0 in (0.2, 0.5, 0.9)))


def test_plug_and_play_keeps_the_layout_and_does_the_edit() -> None:
    found = figures(PLUG_AND_PLAY)
    assert found.layout >= 0.6
    assert found.success >= 0.6


def test_injection_keeps_the_layout_even_where_the_caption_is_of_another_scene() -> None:
    assert foreign_layout(loaded(INJECTED)) >= not_injected() + 0.1


def test_unitune_does_the_edit_and_keeps_more_than_sdedit_from_the_same_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(FOLDER / "mini-sd", "unet", "vae", "text_encoder")
    found = tuned(monkeypatch)
    assert found.success >= 0.5
    assert keeps_more(found, figures(SDEDIT.format(0.9), TUNED))
    assert fingerprint(FOLDER / "mini-sd", "unet", "vae", "text_encoder") == before


def test_unitune_keeps_more_from_less_noise_and_guided_away_from_the_source_prompt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = tuned(monkeypatch)
    assert tuned(monkeypatch, t0=0.4).background > found.background + 1
    monkeypatch.undo()
    assert tuned(monkeypatch, prompt_guidance="negative").background < found.background - 1


def test_a_source_given_back_is_no_edit() -> None:
    found = figures("scenes[show=source,codec=vae:zoo:mini-sd]")
    assert found.layout > 0.9
    assert found.background > 35
    assert found.success == 0


def test_a_start_that_ignores_t0_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = [figures(SDEDIT.format(t0)) for t0 in (0.5, 0.9)]
    with_unitune = tuned(monkeypatch)
    monkeypatch.setattr(SDEdit, "first", 2)
    assert not sdedit_gives_up_the_source_for_the_caption(edited(loaded(SDEDIT.format(0.2))), *honest)
    assert not tuned(monkeypatch, t0=0.4).background > with_unitune.background + 1


def test_an_injection_that_is_switched_off_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    switched = plug_and_play.source_injected
    monkeypatch.setattr(plug_and_play, "source_injected", lambda modules, parts: switched([], parts))
    assert foreign_layout(loaded(INJECTED)) < not_injected() + 0.1


def test_a_fine_tuning_that_is_ignored_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UniTune, "tuned", lambda self, request: self.base.unet)
    assert not keeps_more(tuned(monkeypatch), figures(SDEDIT.format(0.9), TUNED))
