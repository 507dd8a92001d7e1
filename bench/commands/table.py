"""``bench table``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Json

EXAMPLES = """
[bold]Examples[/bold]

  bench table mediapipe-plugin runs/mini-control

  bench table mediapipe-plugin runs/mini-control --latex > table.tex

  bench table architecture
"""


def table(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A table ('bench ls tables').")],
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="[RUN...]", help="Folders of runs whose rows stand beside.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print GitHub's Markdown.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print plain numbers, comma between.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX (booktabs, threeparttable).")] = False,
    html: Annotated[bool, typer.Option("--html", help="Print a page that needs nothing else.")] = False,
    json_: Json = False,
) -> None:
    """Print a paper's table, with rows of runs in its shape; 'architecture' also counts every network and method.

    Each number is published, measured, reproduced (≈) or not comparable (≠), for the reason in its footnote; those that
    are recalled and not confirmed have a question mark.
    """
    from ..tables import table_command

    forms = {"markdown": markdown, "csv": csv, "latex": latex, "html": html, "json": json_}
    table_command(name, runs or [], [form for form, asked in forms.items() if asked])
