"""``bench fetch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import DataRoot, Json, Offline


def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Datasets ('bench ls datasets').")],
    from_: Annotated[
        Path | None, typer.Option("--from", help="A folder that holds the archives or their content.")
    ] = None,
    data_root: DataRoot = None,
    offline: Offline = False,
    json_: Json = False,
) -> None:
    """Fetch datasets from their official hosts, or take them from a folder; size and digest are checked."""
    from ..fetch_command import fetch_command

    fetch_command(names, from_, data_root, offline, json_)
