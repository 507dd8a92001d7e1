"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
DataRoot = Annotated[
    Path | None, typer.Option(help="Where named datasets live.", envvar="T2IBENCH_DATA", show_default=False)
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps; auto takes the best there is.")]
Weights = Annotated[list[str] | None, typer.Option(metavar="NAME=FILE", help="A weights file, such as inception=FILE.")]
Junit = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the verdict as JUnit XML, a case per row.")]
Github = Annotated[
    bool | None,
    typer.Option(
        "--github/--no-github",
        help="Annotate GitHub's job with the rows that failed; else where it is one.",
        show_default=False,
    ),
]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print GitHub's Markdown.")]
Link = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Where Markdown finds the HTML; else the file written with it.", show_default=False
    ),
]
Embed = Annotated[
    Literal["thumbnails", "all", "none"],
    typer.Option(
        help="Pictures inside report.html: small copies of those it opens with, of all, or none. The others, and all "
        "in full size, it finds beside itself."
    ),
]
ForceExport = Annotated[
    bool, typer.Option("--force-export", help="Export stages (onnx, openvino, litert) though room seems to lack.")
]
BenchmarkJson = Annotated[
    Path | None,
    typer.Option("--pytest-benchmark-json", metavar="FILE", help="Also write pytest-benchmark's JSON here."),
]
Offline = Annotated[bool, typer.Option("--offline", help="Open no socket: use only what is on this machine.")]
