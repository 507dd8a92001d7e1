"""The pictures of a report: thumbnails inside the file, in rows of one prompt or photo each."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from .schema import Picture, Run
from .table import directions
from .text import clean, clip, metric_text, quantity
from .worst import Key, values_of, worst

if TYPE_CHECKING:
    import pandas as pd

THUMBNAIL = 320
"""Pixels of the long side."""
ROWS = 24
WORST = 4
"""Pictures per metric in the section of the worst."""


class Shot(NamedTuple):
    """One picture on the page."""

    label: str
    """Whose it is: a method, ``source``, or of what condition; empty for a gap that keeps columns in line."""
    alt: str
    src: str | None
    """A data URI; None where the file cannot be read."""
    full: str | None
    """The whole picture beside the report, relative to it; None where it lies elsewhere."""
    values: list[tuple[str, str]]
    """Per-image values: name and number."""
    caption: str | None = None
    """What stands below it in place of the label: the value of a sweep."""


GAP = Shot("", "", None, None, [])


class Strip(NamedTuple):
    """Pictures side by side."""

    method: str
    """The method of which a sweep's values follow one another; empty where each picture has its own label."""
    shots: list[Shot]


class Line(NamedTuple):
    """Pictures that belong together: of one prompt or photo."""

    title: str
    name: str
    """The prompt id or photo; empty where the title says it."""
    strips: list[Strip]


class Ranking(NamedTuple):
    """The worst pictures by one metric."""

    metric: str
    lines: list[Line]


class Gallery(NamedTuple):
    """All pictures of a report."""

    lines: list[Line]
    total: int
    """Prompts or photos with pictures; ``lines`` shows the first of them."""
    worst: list[Ranking]
    setting: str | None
    """The setting whose values are columns, in a sweep."""


class Chosen(NamedTuple):
    """Which pictures a report shows."""

    lines: list[dict[str, list[Key]]]
    """Of each prompt or photo, by the method that is swept; those of no sweep under an empty name."""
    ranked: dict[str, list[Key]]
    """The worst, by metric."""
    total: int
    """Prompts or photos with pictures."""

    @property
    def keys(self) -> set[Key]:
        """All of them."""
        shown = chain.from_iterable(keys for line in self.lines for keys in line.values())
        return {*shown, *chain.from_iterable(self.ranked.values())}


@dataclass
class Frames:
    """Makes shots; every file is read once."""

    beside: Path | None
    """The folder of the report, to which links are relative; None for no links."""
    known: dict[Path, str | None] = field(default_factory=dict)

    def shot(self, label: str, about: str, file: Path, values: Mapping[str, float]) -> Shot:
        """A shot of ``file``; ``about`` is the prompt or photo."""
        if file not in self.known:
            self.known[file] = thumbnail(file)
        texts = [(quantity(key).name, metric_text(key, value)) for key, value in values.items()]
        alt = clip(clean(f"{label}: {about}"), 160)
        return Shot(label, alt, self.known[file], self._link(file), texts)

    def _link(self, file: Path) -> str | None:
        if self.beside is None or not file.resolve().is_relative_to(self.beside.resolve()):
            return None
        return quote(os.path.relpath(file.resolve(), self.beside.resolve()).replace(os.sep, "/"))


def thumbnail(file: Path, side: int = THUMBNAIL) -> str | None:
    """A small WebP copy of a picture as a data URI; None where the file cannot be read as a picture."""
    from PIL import Image

    try:
        with Image.open(file) as picture:
            picture.thumbnail((side, side), Image.Resampling.LANCZOS)
            data = io.BytesIO()
            picture.convert("RGB").save(data, "WEBP", quality=86)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode("ascii")


def choose(run: Run, pictures: Sequence[Picture], scores: pd.DataFrame, rows: int = ROWS) -> Chosen:
    """Choose the pictures of a report: the first ``rows`` prompts or photos, the worst by each metric."""
    keys = dict.fromkeys(Key(p.method, p.prompt_id, p.sample) for p in pictures)
    made = {key.method for key in keys}
    strips: dict[str, list[str]] = {}
    for result in run.results:
        if result.swept or result.method in made:  # a value without pictures keeps its column
            strips.setdefault(result.swept.method if result.swept else "", []).append(result.method)
    prompts = list(dict.fromkeys((key.prompt_id, key.sample) for key in keys))
    lines = [
        {name: [Key(method, *prompt) for method in methods] for name, methods in strips.items()}
        for prompt in prompts[:rows]
    ]
    ranked = worst(scores, directions(run), WORST)
    return Chosen(lines, {metric: [sample.key for sample in found] for metric, found in ranked.items()}, len(prompts))


def gallery(
    run: Run, pictures: Sequence[Picture], scores: pd.DataFrame, *, rows: int = ROWS, beside: Path | None = None
) -> Gallery:
    """Choose and shrink the pictures of a report; of a sweep, each method's stand in a strip of their own."""
    by_key = {Key(p.method, p.prompt_id, p.sample): p for p in pictures}
    chosen, better = choose(run, pictures, scores, rows), directions(run)
    swept = {result.method: result.swept for result in run.results if result.swept}
    captions = {method: f"{each.value:.12g}" for method, each in swept.items()}
    stage = Stage(by_key, values_of(scores, chosen.keys), Frames(beside), captions)
    rankings = [
        Ranking(
            f"{quantity(metric).name} {'↑' if better[metric] else '↓'}",
            [stage.line({"": [key]}) for key in keys if key in by_key],
        )
        for metric, keys in chosen.ranked.items()
    ]
    shown = [stage.line(line) for line in chosen.lines if any(key in by_key for key in chain(*line.values()))]
    setting = next((each.setting for each in swept.values()), None)
    return Gallery(shown, chosen.total, [ranking for ranking in rankings if ranking.lines], setting)


@dataclass(frozen=True)
class Stage:
    """All that is needed to lay out a line of pictures."""

    pictures: Mapping[Key, Picture]
    values: Mapping[Key, Mapping[str, float]]
    frames: Frames
    captions: Mapping[str, str]
    """The values of a sweep, by method."""

    def line(self, strips: Mapping[str, Sequence[Key]]) -> Line:
        """The pictures of one prompt or photo, in strips by the method that is swept."""
        there = {name: keys for name, keys in strips.items() if any(key in self.pictures for key in keys)}
        first = next(self.pictures[key] for keys in there.values() for key in keys if key in self.pictures)
        name = f"{first.prompt_id} #{first.sample}" if first.sample else first.prompt_id
        about = first.prompt or name
        given = {method: self.given(keys, about) for method, keys in there.items()}
        most = max(map(len, given.values()))
        shots = {
            method: [GAP] * (most - len(given[method])) + given[method] + self.made(method, keys, about)
            for method, keys in there.items()
        }
        width = max(map(len, shots.values()))  # strips of equal columns stand in line
        laid = [Strip(method, each + [GAP] * (width - len(each))) for method, each in shots.items()]
        return Line(clean(first.prompt or name), name if first.prompt else "", laid)

    def given(self, keys: Sequence[Key], about: str) -> list[Shot]:
        """What pictures were made from or are compared with: the source, the condition maps, each once."""
        pictures = [self.pictures[key] for key in keys if key in self.pictures]
        files = {picture.reference: "source" for picture in pictures[:1] if picture.reference}
        files |= {file: f"{kind} condition" for picture in pictures for kind, file in picture.conditions.items()}
        return [self.frames.shot(label, about, file, {}) for file, label in files.items()]

    def made(self, method: str, keys: Sequence[Key], about: str) -> list[Shot]:
        """The pictures themselves, a gap where a method has none; with the values of a sweep where it is laid out."""
        shots = (
            self.frames.shot(key.method, about, self.pictures[key].file, self.values.get(key, {}))
            if key in self.pictures
            else Shot(key.method, "", None, None, [])
            for key in keys
        )
        return [shot._replace(caption=self.captions[shot.label]) if method else shot for shot in shots]
