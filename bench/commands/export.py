"""``bench export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

EXAMPLES = """
[bold]Examples[/bold]

  bench export runs/mini --wide > mini.csv

  bench export runs/main runs/change --format parquet --out numbers.parquet

  bench export runs/mine --format model-index --method 'sd15[checkpoint=me/model]' --name my-model
"""


def export(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs; several for csv and parquet.")],
    shape: Annotated[
        Literal["csv", "parquet", "latex", "markdown", "html", "model-index"],
        typer.Option(
            "--format",
            help="csv, parquet: a row per method and metric. latex, markdown, html: the table. model-index: YAML for a "
            "model card.",
        ),
    ] = "csv",
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write it here.")] = None,
    wide: Annotated[bool, typer.Option("--wide", help="A row per method.")] = False,
    scores: Annotated[bool, typer.Option("--scores", help="The values of single pictures.")] = False,
    method: Annotated[str | None, typer.Option(help="For model-index: this method alone.")] = None,
    name: Annotated[str | None, typer.Option(help="For model-index: what the card's model is called.")] = None,
) -> None:
    """Write the numbers of runs for other tools; in Python, t2ibench.load_run(RUN) has them as frames of pandas."""
    asked = dict(locals())
    from ..export import export_command

    export_command(asked)
