"""``bench report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Embed, Json, Link, Offline


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs.")],
    html: Annotated[Path | None, typer.Option(help="Write the HTML report here.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the Markdown report here.")] = None,
    embed: Embed = "thumbnails",
    link: Link = None,
    offline: Offline = False,
    json_: Json = False,
) -> None:
    """Print a run's table and write its reports anew.

    Of several runs --html and --markdown are what 'bench compare' writes: the others against the first.
    """
    from ..report_command import report_command

    report_command(runs, html, markdown, embed, link, offline, json_)
