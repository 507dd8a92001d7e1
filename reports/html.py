"""``report.html``: one file that needs nothing else and asks the network for nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .facts import environment, headline, identities
from .gallery import ROWS, gallery
from .schema import Picture, Run
from .table import build

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment
    from markupsafe import Markup


def html(
    run: Run, pictures: Sequence[Picture], scores: pd.DataFrame, *, rows: int = ROWS, beside: Path | None = None
) -> str:
    """The report of a run as one HTML page with small copies of its pictures inside.

    ``scores`` has the columns method, prompt_id, sample, metric, value. The gallery shows the first ``rows`` prompts or
    photos. Pictures below the folder ``beside``, where the page will lie, are also found in full size by a click.
    """
    page = templates().get_template("report.html.j2")
    return page.render(
        run=run,
        headline=headline(run),
        table=build(run),
        gallery=gallery(run, pictures, scores, rows=rows, beside=beside),
        noun="photos" if run.suite.kind == "codec" else "prompts",
        identities=identities(run),
        environment=environment(run),
    )


def templates() -> Environment:
    """The templates of pages; whatever is put into them is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["breakable"] = _breakable
    return pages


def _breakable(name: str) -> Markup:
    """A method's name that breaks after brackets and commas, where it breaks at all."""
    from markupsafe import Markup

    return Markup("<wbr>").join(re.split(r"(?<=[\[,:/])", name))
