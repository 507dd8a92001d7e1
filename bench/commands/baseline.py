"""``bench baseline``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Device, Json, Offline, Weights


def baseline(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The file to write.")],
    device: Device = "auto",
    weights: Weights = None,
    offline: Offline = False,
    json_: Json = False,
) -> int:
    """Keep what comparing with a run takes in one file, without its pictures, to be committed or kept by CI."""
    asked = dict(locals())
    from ..gating.command import baseline_command

    return baseline_command(run, out, asked)
