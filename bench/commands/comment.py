"""``bench comment``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def comment(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Markdown, one below the other.")],
    name: Annotated[
        str, typer.Option(help="Tells comments of several jobs from each other.", envvar="BENCH_COMMENT_NAME")
    ] = "gate",
    pull_request: Annotated[
        int | None,
        typer.Option(min=1, help="Its number; else that of the job of GitHub or GitLab.", show_default=False),
    ] = None,
) -> int:
    """Write Markdown as one comment on a pull request, in place of that of the last time.

    On GitHub the job's summary has it, too. The token is GITHUB_TOKEN's or GITLAB_TOKEN's; where it may only read,
    as that of a fork's pull request, the summary is what there is.
    """
    from ..ci.comment import comment_command

    return comment_command(files, name, pull_request)
