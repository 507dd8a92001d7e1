"""A finished run read back from its folder, to write its reports anew."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import BenchError
from ..reports.schema import Picture, Run

if TYPE_CHECKING:
    from ..reports.facts import Judged
    from ..reports.gallery import Embed
    from ..reports.latency import LatencyRun

PICTURES = "pictures.json"
GATE = "gate.json"
"""What ``bench gate --json`` prints, in the folder of the run that it judges: the report says it first."""
COMPARISON, COMPARISON_TEXT = "comparison.html", "comparison.md"
"""The run beside the one of ``--baseline``."""
LATENCY = "latency.json"
"""What ``bench latency`` wrote, in a run's folder: the report draws its stages."""


def dump_pictures(pictures: Sequence[Picture], directory: Path) -> str:
    """Return the text of ``pictures.json``: which file shows what, by paths within the run's folder."""
    rows = []
    for picture in pictures:
        row = picture.model_dump(exclude={"file", "reference", "conditions"})
        row["file"] = picture.file.relative_to(directory).as_posix()
        row["reference"] = picture.reference.relative_to(directory).as_posix() if picture.reference else None
        row["conditions"] = {kind: file.relative_to(directory).as_posix() for kind, file in picture.conditions.items()}
        rows.append(row)
    return json.dumps(rows)


def load_pictures(directory: Path) -> list[Picture]:
    """Read ``pictures.json`` of a run. Raises BenchError where it is missing or broken."""
    file = directory / PICTURES
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        for row in rows:
            row["file"] = _inside(directory, row["file"])
            row["reference"] = _inside(directory, row["reference"]) if row["reference"] else None
            row["conditions"] = {kind: _inside(directory, file) for kind, file in row.get("conditions", {}).items()}
        return [Picture.model_validate(row) for row in rows]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BenchError(
            f"cannot read '{file}' ({error}): run the suite again, it goes fast on finished pictures"
        ) from error


def _inside(directory: Path, name: str) -> Path:
    # A run may come from elsewhere: its report must not show other files of this machine.
    path = directory / name
    if not path.resolve().is_relative_to(directory.resolve()):
        raise ValueError(f"'{name}' lies outside of the run")
    return path


def rewrite(
    run: Run,
    path: Path,
    html: Path | None,
    markdown: Path | None,
    embed: Embed = "thumbnails",
    link: str | None = None,
) -> list[Path]:
    """Write the reports of the run at ``path`` anew: to the files given, else beside its ``run.json``.

    ``link`` is where Markdown finds the HTML.
    """
    import pandas as pd

    from ..reports.write import write_reports

    directory = path if path.is_dir() else path.parent
    pictures = load_pictures(directory)
    if gone := sum(not picture.file.is_file() for picture in pictures):
        print(f"{gone} of {len(pictures)} pictures are missing from '{directory}'", file=sys.stderr)
    try:
        scores = pd.read_parquet(io.BytesIO((directory / "scores.parquet").read_bytes()))
    except (OSError, ValueError) as error:
        raise BenchError(f"cannot read '{directory / 'scores.parquet'}': {error}") from error
    if html is None and markdown is None:
        html, markdown = directory / "report.html", directory / "report.md"
    judged, latency = load_verdict(directory, run), _latency(directory)
    return write_reports(
        run, pictures, scores, markdown=markdown, html=html, embed=embed, judged=judged, latency=latency, link=link
    )


def load_verdict(directory: Path, run: Run) -> Judged | None:
    """Read what a gate found of the run in ``directory``; None where nothing was. Raises BenchError if it is broken."""
    file = directory / GATE
    if not file.is_file():
        return None
    from ..reports.facts import Judged
    from .gating.gate import Gate
    from .gating.text import gate_table

    try:
        found = Gate.model_validate_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise BenchError(
            f"cannot read '{file}': make it again by 'bench gate BASE RUN --json', or remove it"
        ) from error
    if found.head.created != run.created:
        print(f"'{file}' judges another run and is left out of the report: run the gate again", file=sys.stderr)
        return None
    return Judged(found.verdict, gate_table(found)) if found.verdict else None


def _latency(directory: Path) -> LatencyRun | None:
    from ..reports.latency import load_latency

    return load_latency(directory) if (directory / LATENCY).is_file() else None
