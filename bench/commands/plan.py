"""``bench plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Device, Json, Offline, Weights

EXAMPLES = """
[bold]Examples[/bold]

  bench plan --detect mini_clip_score:1% --from runs/main --from runs/change

  bench plan --detect fid --n 1000 --from baseline.zip

  bench plan --detect seconds_unet:7% --from runs/ab
"""


def plan(
    detect: Annotated[
        str, typer.Option(metavar="METRIC[:CHANGE]", help="What to see: fid:2%, fid:0.3, seconds_unet:7%.")
    ],
    from_: Annotated[
        list[Path], typer.Option("--from", metavar="RUN", help="Past runs or baselines; for seconds, of 'bench ab'.")
    ],
    n: Annotated[
        int | None, typer.Option("--n", min=2, help="What can be seen with so many pictures (or rounds).")
    ] = None,
    power: Annotated[float, typer.Option(help="How often the gate is to find it.")] = 0.8,
    thresholds: Annotated[Path | None, typer.Option(help="The thresholds of the gate (TOML).")] = None,
    device: Device = "auto",
    weights: Weights = None,
    offline: Offline = False,
    json_: Json = False,
) -> int:
    """Say from past runs how many pictures or rounds the gate takes to find a change, or what it finds with n."""
    asked = dict(locals())
    from ..gating.planner_command import plan_command

    return plan_command(asked)
