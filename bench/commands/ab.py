"""``bench ab``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import AsMarkdown, Json, Offline

EXAMPLES = """
[bold]Examples[/bold]

  bench ab --base ../main --head .

  bench ab --base venv-torch-2.9 --head venv-torch-2.10 --methods 'sd15[checkpoint=zoo:mini-sd]'

  bench ab --base ../main --head . --out runs/ab && bench gate runs/main runs/change --ab runs/ab
"""


def ab(
    base: Annotated[
        str, typer.Option(metavar="CHECKOUT|ENV", help="A checkout's folder, an environment's folder, or a Python.")
    ],
    head: Annotated[str, typer.Option(metavar="CHECKOUT|ENV", help="The same for the version to judge.")],
    suite: Annotated[
        str | None, typer.Option(help="Whose methods, size and sampling; else mini.", show_default=False)
    ] = None,
    methods: Annotated[
        str | None, typer.Option(help="Methods, comma between; else those of the suite that sample.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(help="Pairs of turns, 10 at least; else as many as so many rows take.")
    ] = None,
    margin: Annotated[str, typer.Option(help="How much slower a row may get, as a share of base.")] = "5%",
    device: Annotated[str, typer.Option(help="A device ('bench ls devices').")] = "auto",
    dtype: Annotated[str, typer.Option(help="fp32, bf16 or fp16.")] = "fp32",
    size: Annotated[str | None, typer.Option(metavar="N|WxH", help="Pixels; else the suite's.")] = None,
    min_seconds: Annotated[
        float, typer.Option(min=0, help="Each stage is timed at least so long per version and go.")
    ] = 10.0,
    iterations: Annotated[int, typer.Option(min=1, help="And called at least so often.")] = 10,
    end_to_end: Annotated[
        bool, typer.Option("--end-to-end/--no-end-to-end", help="Make whole pictures, too; else the stages alone.")
    ] = True,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads of the processor; else the libraries' choice.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the order in the rounds, and of the pictures.")] = 0,
    out: Annotated[Path | None, typer.Option(help="For ab.json; else runs/ab.")] = None,
    offline: Offline = False,
    markdown: AsMarkdown = False,
    json_: Json = False,
) -> int:
    """Say whether one version of the code is slower than another: timed in turns on one machine, stage by stage.

    Exit status 0 not slower, 1 slower, 2 could not be measured. 'bench gate --ab' judges runs by its file, too.
    """
    asked = dict(locals())
    from ..ab.command import ab_command

    return ab_command(asked)
