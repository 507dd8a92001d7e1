"""The reports of a run, written beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.files import write_atomic
from .html import html
from .markdown import markdown
from .schema import Picture, Run

if TYPE_CHECKING:
    import pandas as pd


def write_reports(run: Run, directory: Path, pictures: Sequence[Picture], scores: pd.DataFrame) -> tuple[Path, Path]:
    """Write ``report.md`` and ``report.html`` into ``directory`` and return their paths.

    ``scores`` has the columns method, prompt_id, sample, metric, value. Raises OSError where they cannot be written.
    """
    paths = directory / "report.md", directory / "report.html"
    write_atomic(paths[0], markdown(run, pictures, scores))
    write_atomic(paths[1], html(run, pictures, scores, beside=directory))
    return paths
