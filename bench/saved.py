"""A finished run read back from its folder, to write its reports anew."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import BenchError
from ..core.files import write_atomic
from ..reports.schema import Picture, Run

PICTURES = "pictures.json"


def dump_pictures(pictures: Sequence[Picture], directory: Path) -> str:
    """Return the text of ``pictures.json``: which file shows what, by paths within the run's folder."""
    rows = []
    for picture in pictures:
        row = picture.model_dump(exclude={"file", "reference"})
        row["file"] = picture.file.relative_to(directory).as_posix()
        row["reference"] = picture.reference.relative_to(directory).as_posix() if picture.reference else None
        rows.append(row)
    return json.dumps(rows)


def load_pictures(directory: Path) -> list[Picture]:
    """Read ``pictures.json`` of a run. Raises BenchError where it is missing or broken."""
    file = directory / PICTURES
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        for row in rows:
            row["file"] = directory / row["file"]
            row["reference"] = directory / row["reference"] if row["reference"] else None
        return [Picture.model_validate(row) for row in rows]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BenchError(
            f"cannot read '{file}' ({error}): run the suite again, it goes fast on finished pictures"
        ) from error


def rewrite(run: Run, path: Path, html: Path | None, markdown: Path | None) -> list[Path]:
    """Write the reports of the run at ``path`` anew: to the files given, else beside its ``run.json``."""
    import pandas as pd

    from ..reports.html import html as render_html
    from ..reports.markdown import markdown as render_markdown

    directory = path if path.is_dir() else path.parent
    pictures = load_pictures(directory)
    try:
        scores = pd.read_parquet(io.BytesIO((directory / "scores.parquet").read_bytes()))
    except (OSError, ValueError) as error:
        raise BenchError(f"cannot read '{directory / 'scores.parquet'}': {error}") from error
    if html is None and markdown is None:
        html, markdown = directory / "report.html", directory / "report.md"
    if html:
        write_atomic(html, render_html(run, pictures, scores, beside=html.resolve().parent))
    if markdown:
        write_atomic(markdown, render_markdown(run, pictures, scores))
    return [file for file in (html, markdown) if file]
