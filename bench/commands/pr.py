"""``bench pr``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Github, Json, Junit, Offline

EXAMPLES = """
[bold]Examples[/bold]

  bench pr main

  bench pr origin/main --methods my_method:Clouds --limit 64 --thresholds gate.toml

  bench comment runs/pr/gate.md
"""


def pr(
    base: Annotated[
        str | None,
        typer.Argument(
            metavar="[BASE]",
            help="A branch or commit; else what a job of GitHub or GitLab says.",
            envvar="BENCH_PR_BASE",
        ),
    ] = None,
    suite: Annotated[str, typer.Option(help="As in 'bench run'.", envvar="BENCH_PR_SUITE")] = "mini",
    methods: Annotated[str | None, typer.Option(help="As in 'bench run'.", envvar="BENCH_PR_METHODS")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="As in 'bench run'.", envvar="BENCH_PR_LIMIT")] = None,
    thresholds: Annotated[
        Path | None, typer.Option(help="How much worse numbers may get (TOML).", envvar="BENCH_PR_THRESHOLDS")
    ] = None,
    install: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Installs a checkout into an environment of its own; 'none' runs it from its folder. Else pip, where "
            "there is a pyproject.toml or setup.py.",
            envvar="BENCH_PR_INSTALL",
        ),
    ] = None,
    args: Annotated[
        str | None, typer.Option(help="More of 'bench run', as one text: '--seed 1'.", envvar="BENCH_PR_ARGS")
    ] = None,
    out: Annotated[Path, typer.Option(help="For gate.md and both runs.", envvar="BENCH_PR_OUT")] = Path("runs/pr"),
    junit: Junit = None,
    github: Github = None,
    allow_unmeasured: Annotated[
        bool,
        typer.Option(
            "--allow-unmeasured",
            help="Exit status 0, too, where it could not be measured.",
            envvar="BENCH_PR_ALLOW_UNMEASURED",
        ),
    ] = False,
    offline: Offline = False,
    json_: Json = False,
) -> int:
    """Run a suite on another commit of this repository and on the working folder, here and now, and gate.

    Exit status: 0 pass, 1 a regression, 2 could not measure. --out gets gate.md for a comment, and both runs.
    """
    asked = dict(locals())
    from ..ci.pull_request import pull_request_command

    return pull_request_command(base, asked)
