"""``t2ibench.load_run``: a finished run for notebooks and scripts."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import PrivateAttr

from ..core.errors import BenchError
from .facts import headline
from .grid import Table
from .schema import Run
from .schema import load_run as read_run

if TYPE_CHECKING:
    import pandas as pd

SCORES = "scores.parquet"


class LoadedRun(Run):
    """A run with what is made of it: frames of pandas, tables, a model card's results; Jupyter shows its table."""

    _folder: Path = PrivateAttr(default=Path())

    def to_frame(self, wide: bool = False) -> pd.DataFrame:
        """The numbers: a row per method and metric (see ``reports.frames.long_frame``), or a row per method."""
        from .frames import long_frame, wide_frame

        return wide_frame(self) if wide else long_frame(self)

    def scores(self) -> pd.DataFrame:
        """The values of single pictures: method, prompt_id, sample, metric, value.

        Raises BenchError where the run's folder has no readable ``scores.parquet``.
        """
        import pandas as pd

        file = self._folder / SCORES
        try:
            return pd.read_parquet(io.BytesIO(file.read_bytes()))
        except (OSError, ValueError) as error:
            raise BenchError(f"cannot read '{file}': {error}") from error

    def table(self) -> Table:
        """The main table with its footnotes, titled, and what must be said of it; ``to_frame`` has its numbers."""
        from .table import build

        rows = [f"{result.method}: {note}" for result in self.results for note in result.notes]
        notes = (headline(self), *self.suite.notes, *rows)
        return replace(build(self), title=f"{self.suite.name}: {self.suite.summary}", notes=notes)

    def to_latex(self) -> str:
        """The main table for LaTeX with booktabs and threeparttable."""
        from .latex import latex

        return latex(self.table())

    def model_index(self, method: str | None = None, name: str | None = None) -> str:
        """The results as YAML for a model card (see ``reports.model_index``)."""
        from .model_index import model_index

        return model_index(self, method, name)

    def _repr_html_(self) -> str:
        from .html import templates

        # Each table of a notebook needs footnotes of its own.
        page = templates().get_template("notebook.html.j2")
        return page.render(table=self.table(), ids=f"t2ibench-{id(self):x}")


def load_run(path: str | Path) -> LoadedRun:
    """Read a run from its folder or from its ``run.json``.

    Raises BenchError for a file that is missing, broken, or of a newer schema.
    """
    run = read_run(path)
    loaded = LoadedRun.model_construct(**{name: getattr(run, name) for name in Run.model_fields})
    loaded._folder = Path(path) if Path(path).is_dir() else Path(path).parent
    return loaded
