"""``bench history``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Device, Json, Offline, Weights

EXAMPLES = """
[bold]Examples[/bold]

  bench history runs/ --metric mini_fd

  bench history baselines/ --html history.html
"""


def history(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with runs or baselines, however deep.")],
    metric: Annotated[str | None, typer.Option(help="The metric; else all that the runs have.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with a plot of each metric here.")] = None,
    thresholds: Annotated[Path | None, typer.Option(help="The margins beyond which a change is a step (TOML).")] = None,
    device: Device = "auto",
    weights: Weights = None,
    offline: Offline = False,
    json_: Json = False,
) -> int:
    """Show metrics over many runs, a line per method and identity, with the steps that are surely there."""
    asked = dict(locals())
    from ..history_command import history_command

    return history_command(folder, asked)
