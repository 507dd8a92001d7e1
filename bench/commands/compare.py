"""``bench compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Device, Embed, Json, Link, Offline, Weights

EXAMPLES = """
[bold]Examples[/bold]

  bench compare runs/main runs/change

  bench compare runs/main runs/change runs/other --html compare.html --markdown compare.md

  bench compare runs/coco5k --methods 'sd15,snapfusion[steps=8]'
"""


def compare(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="A run's folder, or a baseline file.")],
    heads: Annotated[
        list[Path] | None, typer.Argument(metavar="HEAD...", help="Those that are held against it.", show_default=False)
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="A,B...",
            help="Rows of one run, the others against the first: their names, or as much as tells them apart.",
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report, with pictures side by side, here.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it as GitHub's Markdown here; - prints it.")
    ] = None,
    embed: Embed = "thumbnails",
    link: Link = None,
    device: Device = "auto",
    weights: Weights = None,
    offline: Offline = False,
    json_: Json = False,
) -> int:
    """Show how numbers and pictures of runs, or of rows of one, differ from a first, with intervals and no verdict."""
    asked = dict(locals())
    from ..gating.command import compare_command

    return compare_command(base, heads or [], asked)
