"""``bench explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Json, Offline

EXAMPLES = """
[bold]Examples[/bold]

  bench explain old.json new.json --metric fid

  bench explain png/ jpeg/ --metric fid --reference photos/
"""


def explain(
    base: Annotated[str, typer.Argument(metavar="BASE", help="What 'bench score --json' printed, a run, or pictures.")],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="The same for the other number.")],
    metric: Annotated[str | None, typer.Option(help="The metric; else the first that both have.")] = None,
    reference: Annotated[str | None, typer.Option(help="For pictures: as in 'bench score'.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="For pictures: as in 'bench score'.")] = None,
    targets: Annotated[str | None, typer.Option(help="For pictures: as in 'bench score'.")] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="For pictures: a weights file, such as inception=FILE."),
    ] = None,
    device: Annotated[str, typer.Option(help="For pictures: cpu, cuda, cuda:1, mps, auto.")] = "auto",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="For pictures: leave broken ones out.")] = False,
    offline: Offline = False,
    json_: Json = False,
) -> None:
    """Say why two numbers of one metric differ, by recomputing it with one factor changed at a time."""
    asked = dict(locals())
    from ..explain import explain_command

    explain_command(asked)
