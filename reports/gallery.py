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
from .parts import parts
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
SOURCE, MASK, REGIONS = "source", "mask", "regions"
"""What stands before the pictures made from it and is no condition map; prompts follow the word regions."""
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
    """Pictures that are to be seen first, such as the worst by one metric."""

    title: str
    lines: list[Line]


class Gallery(NamedTuple):
    """All pictures of a report."""

    lines: list[Line]
    """What the page opens with."""
    rest: list[Line]
    """What it shows when asked to, from the files beside it where they are not inside."""
    total: int
    """Prompts or photos with pictures; ``lines`` and ``rest`` are the first of them."""
    ranked: list[Ranking]
    setting: str | None
    """The setting whose values are columns, in a sweep."""


Strips = Mapping[str, Sequence[Key]]
"""The pictures of a line by what heads their strip: a method whose values or runs follow one another; else nothing."""


class Chosen(NamedTuple):
    """Which pictures a report shows."""

    lines: Sequence[Strips]
    """Of each prompt or photo."""
    ranked: Mapping[str, Sequence[Strips]]
    """Those to be seen first, by what is said of them."""
    total: int
    """Prompts or photos with pictures."""
    captions: Mapping[str, str] = {}
    """What stands below the pictures of a method in place of its name, in strips with a head."""

    @property
    def keys(self) -> set[Key]:
        """All of them."""
        shown = chain(self.lines, *self.ranked.values())
        return {key for strips in shown for keys in strips.values() for key in keys}


@dataclass
class Frames:
    """Makes shots; every file is read once."""

    beside: Path | None
    """The folder of the report, to which links are relative; None for no links."""
    inside: Mapping[Path, str | None]
    """The small copies that the page holds, by their files; None where one cannot be read."""
    folders: dict[Path, str | None] = field(default_factory=dict)

    def shot(self, label: str, about: str, file: Path, values: Mapping[str, str]) -> Shot:
        """A shot of ``file``; ``about`` is the prompt or photo."""
        full = self._link(file)
        src = self.inside.get(file, full)
        return Shot(label, clip(clean(f"{label}: {about}"), 160), src, full, values)

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
    """Choose the pictures of a report: the first ``rows`` prompts or photos of each dataset, the worst by metric."""
    made = {picture.method for picture in pictures}
    lines: list[list[Strips]] = []
    total = 0
    for part in parts(run):
        strips: dict[str, list[str]] = {}
        for result in part.results:
            if result.swept or result.method in made:  # a value without pictures keeps its column
                strips.setdefault(result.swept.method if result.swept else "", []).append(result.method)
        named = {result.method for result in part.results}
        found, count = in_strips(strips, [picture for picture in pictures if picture.method in named], rows)
        lines.append(found)
        total += count
    better = directions(run)
    ranked = {
        f"{quantity(metric).name} {'↑' if better[metric] else '↓'}": [{"": [sample.key]} for sample in samples]
        for metric, samples in worst(scores, better, WORST).items()
    }
    captions = {result.method: f"{result.swept.value:.12g}" for result in run.results if result.swept}
    return Chosen(_some_of_each(lines), ranked, total, captions)


def _some_of_each(lines: Sequence[list[Strips]]) -> list[Strips]:
    """The lines of several datasets, so that those that a page opens with are of all of them."""
    first = -(-ROWS // max(len(lines), 1))
    return [*chain(*(each[:first] for each in lines)), *chain(*(each[first:] for each in lines))]


def in_strips(strips: Mapping[str, Sequence[str]], pictures: Sequence[Picture], rows: int) -> tuple[list[Strips], int]:
    """The first ``rows`` prompts or photos, with their pictures by the methods of ``strips``; how many there are."""
    prompts = list(dict.fromkeys((picture.prompt_id, picture.sample) for picture in pictures))
    lines: list[Strips] = [
        {name: [Key(method, *prompt) for method in methods] for name, methods in strips.items()}
        for prompt in prompts[:rows]
    ]
    return lines, len(prompts)


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
    chosen = choose(run, pictures, scores, max(rows, MOST))
    texts = {
        key: {metric: metric_text(metric, value) for metric, value in values.items()}
        for key, values in values_of(scores, chosen.keys).items()
    }
    setting = next((result.swept.setting for result in run.results if result.swept), None)
    return hang(chosen, pictures, texts, rows=rows, beside=beside, embed=embed)._replace(setting=setting)


def hang(
    chosen: Chosen,
    pictures: Sequence[Picture],
    texts: Mapping[Key, Mapping[str, str]],
    *,
    rows: int = ROWS,
    beside: Path | None = None,
    embed: Embed = "thumbnails",
) -> Gallery:
    """Lay out and shrink chosen pictures; ``texts`` are their values by metric. Raises as ``gallery``."""
    by_key = {Key(p.method, p.prompt_id, p.sample): p for p in pictures}
    first, rest = chosen.lines[:rows], chosen.lines[rows:]
    there = {title: [one for one in found if _is_there(one, by_key)] for title, found in chosen.ranked.items()}
    ranked = {title: found for title, found in there.items() if found}
    opened = (key for strips in chain(first, *ranked.values()) for keys in strips.values() for key in keys)
    inside = {"none": [], "all": list(by_key), "thumbnails": list(opened)}[embed]
    frames = Frames(beside, thumbnails(file for key in inside if key in by_key for file in _files(by_key[key])))
    stage = Stage(by_key, texts, frames, chosen.captions)
    rankings = [Ranking(title, [stage.line(strips) for strips in found]) for title, found in ranked.items()]
    columns: dict[tuple[str, ...], int] = {}
    for line in chosen.lines:
        most = max((len(stage.given(keys, "")) for keys in line.values()), default=0)
        columns[_methods(line)] = max(columns.get(_methods(line), 0), most)
    shown, others = (
        [replace(stage, given_columns=columns[_methods(line)]).line(line) for line in lines if _is_there(line, by_key)]
        for lines in (first, rest)
    )
    if embed == "none" and shown and not any(shot.src for line in shown for shot in line.shots):
        raise BenchError(
            "a page without pictures inside finds them below its own folder: write it into that of the run"
        )
    return Gallery(shown, others, chosen.total, rankings, None)


def _is_there(line: Mapping[str, Sequence[Key]], pictures: Mapping[Key, Picture]) -> bool:
    return any(key in pictures for key in chain(*line.values()))


def _methods(line: Strips) -> tuple[str, ...]:
    return tuple(key.method for keys in line.values() for key in keys)


def _given_label(kind: str) -> str:
    return kind if kind in (SOURCE, MASK) or kind.startswith(REGIONS) else f"{kind} condition"


def _files(picture: Picture) -> list[Path]:
    return [picture.file, *([picture.reference] if picture.reference else []), *picture.conditions.values()]


@dataclass(frozen=True)
class Stage:
    """All that is needed to lay out a line of pictures."""

    pictures: Mapping[Key, Picture]
    values: Mapping[Key, Mapping[str, str]]
    frames: Frames
    captions: Mapping[str, str]
    """By method, in strips with a head."""
    given_columns: int = 0
    """Columns at least for what pictures were made from, so that those of methods are in line."""

    def line(self, strips: Strips) -> Line:
        """The pictures of one prompt or photo, in strips."""
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
        """The pictures themselves, a gap where a method has none; with their captions in a strip with a head."""
        shots = (
            self.frames.shot(key.method, about, self.pictures[key].file, self.values.get(key, {}))
            if key in self.pictures
            else Shot(key.method, "", None, None, self.values.get(key, {}))
            for key in keys
        )
        return [shot._replace(caption=self.captions.get(shot.label)) if method else shot for shot in shots]
