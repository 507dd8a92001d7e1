"""``report.html``: one file that needs nothing else and asks the network for nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .facts import Judged, environment, headline, identities, row_notes
from .gallery import ROWS, Embed, Gallery, Line, Shot, gallery
from .names import short_names
from .plots import Plot, plotly_js, plots
from .schema import Picture, Result, Run
from .table import directions, tables
from .text import quantity

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment
    from markupsafe import Markup

    from .latency import LatencyRun

_SMALL = 128
"""Pixels of the long side up to which pictures are enlarged without smoothing: their pixels are to be seen."""


def html(
    run: Run,
    pictures: Sequence[Picture],
    scores: pd.DataFrame,
    *,
    rows: int = ROWS,
    beside: Path | None = None,
    embed: Embed = "thumbnails",
    judged: Judged | None = None,
    latency: LatencyRun | None = None,
) -> str:
    """The report of a run as one HTML page.

    ``scores`` has the columns method, prompt_id, sample, metric, value. The gallery opens with the first ``rows``
    prompts or photos. Pictures below the folder ``beside``, where the page will lie, are found there in full size.
    ``embed`` decides which have small copies inside. Raises BenchError where there would be none to see.
    """
    shown = gallery(run, pictures, scores, rows=rows, beside=beside, embed=embed)
    short = short_names(result.method for result in run.results)
    better = directions(run)
    data = page_data(short, {key: (quantity(key).name, higher) for key, higher in better.items()}, shown)
    return templates().get_template("report.html.j2").render(
        run=run,
        headline=headline(run),
        tables=tables(run),
        judged=judged,
        notes=row_notes(run),
        identities=identities(run),
        environment=environment(run),
        **of_pictures([run], shown),
        **of_plots(plots(run, scores, latency)),
        short=short,
        titles=Titles(),
        data=data,
        changes={},
        against={},
    )  # fmt: skip


def of_pictures(runs: Sequence[Run], shown: Gallery) -> dict[str, Any]:
    """What the templates know of the pictures of runs."""
    results = [result for run in runs for result in run.results]
    return {
        "gallery": shown,
        "noun": "photos" if runs[0].suite.kind == "codec" else "prompts",
        "prompted": any(line.name for line in [*shown.lines, *shown.rest]),
        "small": any(0 < max(_sides(result)) <= _SMALL for result in results),
        "shape": _shape(results),
    }


def of_plots(drawn: Sequence[Plot]) -> dict[str, Any]:
    """What the templates know of plots."""
    figures = [[{**choice.figure, "notes": choice.notes} for choice in plot.choices] for plot in drawn]
    return {"plots": drawn, "figures": figures, "plotly": plotly_js() if drawn else ""}


@cache
def templates() -> Environment:
    """The templates of pages, compiled once; whatever is put into them is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["breakable"] = _breakable
    return pages


def _breakable(name: str) -> Markup:
    """A method's name that breaks after brackets and commas, where it breaks at all."""
    from markupsafe import Markup

    return Markup("<wbr>").join(re.split(r"(?<=[\[,:/])", name))


class Titles(dict[str, str]):
    """How metrics are called, by their keys."""

    def __missing__(self, key: str) -> str:
        self[key] = quantity(key).name
        return self[key]


def page_data(
    short: Mapping[str, str],
    metrics: Mapping[str, tuple[str, bool]],
    shown: Gallery,
    changes: Iterable[str] = (),
    against: Mapping[str, str] | None = None,
) -> Mapping[str, Any]:
    """What the page's script knows: every row of pictures with its values, in the order of the gallery.

    ``short`` are the names of methods as captions have room for them, ``metrics`` names and directions by key, of which
    ``changes`` are such from the base; ``against`` says by method which other its pictures are first compared with.
    """
    lines = [*shown.lines, *shown.rest]
    valued = {key for line in lines for shot in line.shots for key in shot.values}
    kept = {key: found for key, found in metrics.items() if key in valued}
    places = {method: place for place, method in enumerate(short)}
    inside, moved = len(shown.lines), set(changes)
    return {
        "methods": list(short),
        "short": list(short.values()),
        "against": {places[method]: places[other] for method, other in (against or {}).items()},
        "metrics": [{"name": name, "higher": up, "change": key in moved} for key, (name, up) in kept.items()],
        "lines": [_line(line, places, list(kept), place >= inside) for place, line in enumerate(lines)],
    }  # fmt: skip


def _line(line: Line, places: Mapping[str, int], metrics: Sequence[str], alone: bool) -> list[Any]:
    strips = [[strip.method, [_shot(shot, places, metrics, alone) for shot in strip.shots]] for strip in line.strips]
    return [line.title, line.name, strips]


def _shot(shot: Shot, places: Mapping[str, int], metrics: Sequence[str], alone: bool) -> list[Any] | None:
    """Method's place or label, caption, link, small copy, values; ``alone`` where the page does not hold it yet."""
    if not shot.label:
        return None
    values = [shot.values.get(key, "") for key in metrics] if shot.values else []
    inside = shot.src if alone and shot.src != shot.full else None
    return [places.get(shot.label, shot.label), shot.caption, shot.full if alone else None, inside, values]


def _shape(results: Sequence[Result]) -> str:
    """Width over height of the pictures: the room that they get before they are there."""
    width, height = next((sides for result in results if min(sides := _sides(result)) > 0), (1, 1))
    return f"{width} / {height}"


def _sides(result: Result) -> tuple[int, int]:
    """Width and height in pixels; zeros where they are not known."""
    found = re.fullmatch(r"(\d{1,6})[x×](\d{1,6})", result.settings.size or "")
    return (int(found[1]), int(found[2])) if found else (0, 0)
