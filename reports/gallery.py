"""The pictures of a report: thumbnails inside the file, in rows of one prompt or photo each."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import quote

from ..core.errors import BenchError
from .schema import Picture, Run
from .table import directions
from .text import clean, clip, metric_text, quantity
from .worst import Key, values_of, worst

if TYPE_CHECKING:
    import pandas as pd

THUMBNAIL = 320
"""Pixels of the long side."""
ROWS = 24
MOST = 5000
"""Prompts or photos at most whose pictures can be found on the page."""
SOURCE, REGIONS = "source", "regions"
"""What stands before the pictures made from it and is no condition map; prompts follow the word regions."""
MOST = 5000
"""Prompts or photos at most whose pictures can be found on the page."""
GIVEN = {"regions": "regions", "source": "source"}
"""What stands before the pictures made from it and is no condition map."""
WORST = 4
"""Pictures per metric in the section of the worst."""

Embed = Literal["thumbnails", "all", "none"]
"""What of the pictures is inside the page: small copies of those that it opens with, of all, or nothing."""


class Shot(NamedTuple):
    """One picture on the page."""

    label: str
    """Whose it is: a method, ``source``, or of what condition; empty for a gap that keeps columns in line."""
    alt: str
    src: str | None
    """A data URI, or the address of the file beside the report; None where there is nothing to show."""
    full: str | None
    """The whole picture beside the report, relative to it; None where it lies elsewhere."""
    values: Mapping[str, str]
    """Per-image values as texts, by the key of the metric."""
    caption: str | None = None
    """What stands below it in place of the label: the value of a sweep."""


GAP = Shot("", "", None, None, {})


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

    @property
    def shots(self) -> list[Shot]:
        """All of its pictures."""
        return [shot for strip in self.strips for shot in strip.shots]


class Ranking(NamedTuple):
    """The worst pictures by one metric."""

    metric: str
    lines: list[Line]


class Gallery(NamedTuple):
    """All pictures of a report."""

    lines: list[Line]
    """What the page opens with."""
    rest: list[Line]
    """What it shows when asked to, from the files beside it where they are not inside."""
    total: int
    """Prompts or photos with pictures; ``lines`` and ``rest`` are the first of them."""
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
    inside: Mapping[Path, str | None]
    """The small copies that the page holds, by their files; None where one cannot be read."""
    folders: dict[Path, str | None] = field(default_factory=dict)

    def shot(self, label: str, about: str, file: Path, values: Mapping[str, float]) -> Shot:
        """A shot of ``file``; ``about`` is the prompt or photo."""
        full = self._link(file)
        src = self.inside.get(file, full)
        texts = {key: metric_text(key, value) for key, value in values.items()}
        return Shot(label, clip(clean(f"{label}: {about}"), 160), src, full, texts)

    def _link(self, file: Path) -> str | None:
        if self.beside is None:
            return None
        if file.parent not in self.folders:
            self.folders[file.parent] = _below(file.parent.resolve(), self.beside.resolve())
        folder = self.folders[file.parent]
        return None if folder is None or not file.is_file() else folder + quote(file.name)


def _below(folder: Path, page: Path) -> str | None:
    """The address of ``folder`` for a page in the folder ``page``; None where it is not below."""
    if not folder.is_relative_to(page):
        return None
    names = folder.relative_to(page).parts
    return "".join(f"{quote(name)}/" for name in names)


def thumbnails(files: Iterable[Path]) -> dict[Path, str | None]:
    """Small copies of all ``files``, made side by side."""
    wanted = list(dict.fromkeys(files))
    with ThreadPoolExecutor() as pool:
        return dict(zip(wanted, pool.map(thumbnail, wanted), strict=True))


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
    run: Run,
    pictures: Sequence[Picture],
    scores: pd.DataFrame,
    *,
    rows: int = ROWS,
    beside: Path | None = None,
    embed: Embed = "thumbnails",
) -> Gallery:
    """Choose and shrink the pictures of a report; of a sweep, each method's stand in a strip of their own.

    Raises BenchError where none is to be inside, and the page will not lie where it finds them.
    """
    by_key = {Key(p.method, p.prompt_id, p.sample): p for p in pictures}
    chosen, better = choose(run, pictures, scores, max(rows, MOST)), directions(run)
    first, rest = chosen.lines[:rows], chosen.lines[rows:]
    ranked = [(key, keys) for key, keys in chosen.ranked.items() if any(each in by_key for each in keys)]
    opened = chain((keys for line in first for keys in line.values()), (keys for _, keys in ranked))
    inside = {"none": [], "all": list(by_key), "thumbnails": list(chain.from_iterable(opened))}[embed]
    frames = Frames(beside, thumbnails(file for key in inside if key in by_key for file in _files(by_key[key])))
    swept = {result.method: result.swept for result in run.results if result.swept}
    captions = {method: f"{each.value:.12g}" for method, each in swept.items()}
    stage = Stage(by_key, values_of(scores, chosen.keys), frames, captions)
    rankings = [
        Ranking(
            f"{quantity(metric).name} {'↑' if better[metric] else '↓'}",
            [stage.line({"": [key]}) for key in keys if key in by_key],
        )
        for metric, keys in ranked
    ]
    setting = next((each.setting for each in swept.values()), None)
    columns = (len(stage.given(keys, "")) for line in chosen.lines for keys in line.values())
    aligned = replace(stage, given_columns=max(columns, default=0))
    shown, others = ([aligned.line(line) for line in lines if _is_there(line, by_key)] for lines in (first, rest))
    if embed == "none" and shown and not any(shot.src for line in shown for shot in line.shots):
        raise BenchError(
            "a page without pictures inside finds them below its own folder: write it into that of the run"
        )
    return Gallery(shown, others, chosen.total, rankings, setting)


def _is_there(line: Mapping[str, Sequence[Key]], pictures: Mapping[Key, Picture]) -> bool:
    return any(key in pictures for key in chain(*line.values()))


def _given_label(kind: str) -> str:
    return kind if kind == SOURCE or kind.startswith(REGIONS) else f"{kind} condition"


def _files(picture: Picture) -> list[Path]:
    return [picture.file, *([picture.reference] if picture.reference else []), *picture.conditions.values()]


@dataclass(frozen=True)
class Stage:
    """All that is needed to lay out a line of pictures."""

    pictures: Mapping[Key, Picture]
    values: Mapping[Key, Mapping[str, float]]
    frames: Frames
    captions: Mapping[str, str]
    """The values of a sweep, by method."""
    given_columns: int = 0
    """Columns at least for what pictures were made from, so that those of methods are in line."""

    def line(self, strips: Mapping[str, Sequence[Key]]) -> Line:
        """The pictures of one prompt or photo, in strips by the method that is swept."""
        there = {name: keys for name, keys in strips.items() if any(key in self.pictures for key in keys)}
        first = next(self.pictures[key] for keys in there.values() for key in keys if key in self.pictures)
        name = f"{first.prompt_id} #{first.sample}" if first.sample else first.prompt_id
        about = first.prompt or name
        given = {method: self.given(keys, about) for method, keys in there.items()}
        most = max(self.given_columns, *map(len, given.values()))
        shots = {
            method: given[method] + [GAP] * (most - len(given[method])) + self.made(method, keys, about)
            for method, keys in there.items()
        }
        width = max(map(len, shots.values()))  # strips of equal columns stand in line
        laid = [Strip(method, each + [GAP] * (width - len(each))) for method, each in shots.items()]
        return Line(clean(first.prompt or name), name if first.prompt else "", laid)

    def given(self, keys: Sequence[Key], about: str) -> list[Shot]:
        """What pictures were made from or are compared with: the source, the condition maps, each once."""
        pictures = [self.pictures[key] for key in keys if key in self.pictures]
        files = {picture.reference: "source" for picture in pictures[:1] if picture.reference}
        files |= {file: _given_label(kind) for picture in pictures for kind, file in picture.conditions.items()}
        return [self.frames.shot(label, about, file, {}) for file, label in files.items()]

    def made(self, method: str, keys: Sequence[Key], about: str) -> list[Shot]:
        """The pictures themselves, a gap where a method has none; with the values of a sweep where it is laid out."""
        shots = (
            self.frames.shot(key.method, about, self.pictures[key].file, self.values.get(key, {}))
            if key in self.pictures
            else Shot(key.method, "", None, None, {})
            for key in keys
        )
        return [shot._replace(caption=self.captions[shot.label]) if method else shot for shot in shots]
