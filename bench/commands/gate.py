"""``bench gate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import AsMarkdown, Device, Embed, Github, Json, Junit, Link, Offline, Weights

EXAMPLES = """
[bold]Examples[/bold]

  bench gate runs/main runs/change

  bench gate runs/main runs/change --thresholds gate.toml --markdown

  bench run --suite mini --out runs/change --baseline runs/main --gate
"""


def gate(
    base: Annotated[
        Path, typer.Argument(metavar="BASE", help="The run to compare with: its folder, or a baseline file.")
    ],
    head: Annotated[Path, typer.Argument(metavar="HEAD", help="The folder of the run to judge.")],
    thresholds: Annotated[
        Path | None, typer.Option(help="How much worse numbers may get (TOML); else by kind of metric.")
    ] = None,
    ab: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What 'bench ab' wrote: judge seconds by it, too.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the verdict, as --json prints it.")
    ] = None,
    junit: Junit = None,
    github: Github = None,
    html: Annotated[Path | None, typer.Option(help="Write both runs side by side, the verdict first, here.")] = None,
    embed: Embed = "thumbnails",
    link: Link = None,
    device: Device = "auto",
    weights: Weights = None,
    offline: Offline = False,
    markdown: AsMarkdown = False,
    json_: Json = False,
) -> int:
    """Say whether a run is worse than another: exit status 0 pass, 1 a regression, 2 could not measure."""
    asked = dict(locals())
    from ..gating.command import gate_command

    return gate_command(base, head, thresholds, asked)
