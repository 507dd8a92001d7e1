"""The reports of a run, written to files."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..core.files import write_atomic
from .facts import Judged
from .gallery import Embed
from .html import html as render_html
from .markdown import markdown as render_markdown
from .schema import Picture, Run

if TYPE_CHECKING:
    import pandas as pd

    from .latency import LatencyRun


def write_reports(
    run: Run,
    pictures: Sequence[Picture],
    scores: pd.DataFrame,
    *,
    markdown: Path | None,
    html: Path | None,
    embed: Embed = "thumbnails",
    judged: Judged | None = None,
    latency: LatencyRun | None = None,
    link: str | None = None,
) -> list[Path]:
    """Write the reports that a file is named for and return the files.

    ``scores`` has the columns method, prompt_id, sample, metric, value; ``link`` is where Markdown finds the HTML, by
    default the file that is written with it. Raises WriteError where one cannot be written, BenchError for a link that
    is none, and where ``embed`` leaves the page without pictures.
    """
    if markdown:
        found = link or (address_beside(html, markdown) if html else None)
        write_atomic(markdown, render_markdown(run, pictures, scores, judged=judged, link=found))
    if html:
        beside = html.resolve().parent
        text = render_html(run, pictures, scores, beside=beside, embed=embed, judged=judged, latency=latency)
        write_atomic(html, text)
    return [file for file in (html, markdown) if file]


def address_beside(html: Path, markdown: Path) -> str:
    """The address of an HTML report for a Markdown file."""
    return quote(Path(relpath(html.resolve(), markdown.resolve().parent)).as_posix())
