"""``bench ls``."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Json


def ls(
    kind: Annotated[
        str | None, typer.Argument(help="suites, methods, codecs, metrics, datasets, devices or tables.")
    ] = None,
    json_: Json = False,
) -> None:
    """List what there is to choose from."""
    from ..listing import list_command

    list_command(kind, json_)
