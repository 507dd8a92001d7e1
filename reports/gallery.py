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
    """Whose it is: a method, or ``source``."""
    alt: str
    src: str | None
    """A data URI; None where the file cannot be read."""
    full: str | None
    """The whole picture beside the report, relative to it; None where it lies elsewhere."""
    values: list[tuple[str, str]]
    """Per-image values: name and number."""


class Line(NamedTuple):
    """Pictures that belong together, side by side."""

    title: str
    name: str
    """The prompt id or photo; empty where the title says it."""
    shots: list[Shot]


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


def gallery(
    run: Run, pictures: Sequence[Picture], scores: pd.DataFrame, *, rows: int = ROWS, beside: Path | None = None
) -> Gallery:
    """Choose and shrink the pictures of a report: the first ``rows`` prompts or photos, the worst by each metric."""
    by_key = {Key(p.method, p.prompt_id, p.sample): p for p in pictures}
    prompts = list(dict.fromkeys((key.prompt_id, key.sample) for key in by_key))
    methods = [result.method for result in run.results if any(key.method == result.method for key in by_key)]
    lines = [[Key(method, *prompt) for method in methods] for prompt in prompts[:rows]]
    better = directions(run)
    ranked = {metric: [sample.key for sample in found] for metric, found in worst(scores, better, WORST).items()}
    values = values_of(scores, chain(*lines, *ranked.values()))
    stage = Stage(by_key, values, Frames(beside))
    rankings = [
        Ranking(
            f"{quantity(metric).name} {'↑' if better[metric] else '↓'}",
            [stage.line([key]) for key in keys if key in by_key],
        )
        for metric, keys in ranked.items()
    ]
    shown = [stage.line(line) for line in lines if any(key in by_key for key in line)]
    return Gallery(shown, len(prompts), [ranking for ranking in rankings if ranking.lines])


@dataclass(frozen=True)
class Stage:
    """All that is needed to lay out a line of pictures."""

    pictures: Mapping[Key, Picture]
    values: Mapping[Key, Mapping[str, float]]
    frames: Frames

    def line(self, keys: Sequence[Key]) -> Line:
        """The pictures of ``keys``, one prompt or photo, with the source first; a gap where a method has none."""
        first = next(self.pictures[key] for key in keys if key in self.pictures)
        name = f"{first.prompt_id} #{first.sample}" if first.sample else first.prompt_id
        about = first.prompt or name
        source = [self.frames.shot("source", about, first.reference, {})] if first.reference else []
        shots = [
            self.frames.shot(key.method, about, self.pictures[key].file, self.values.get(key, {}))
            if key in self.pictures
            else Shot(key.method, "", None, None, [])
            for key in keys
        ]
        return Line(clean(first.prompt or name), name if first.prompt else "", source + shots)
