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
"""


def compare(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="A run's folder, or a baseline file.")],
    heads: Annotated[list[Path], typer.Argument(metavar="HEAD...", help="Those that are held against it.")],
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
    """Show how the numbers and pictures of runs differ from those of a first, with intervals and without a verdict."""
    asked = dict(locals())
    from ..gating.command import compare_command

    return compare_command(base, heads, asked)
