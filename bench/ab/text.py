"""What ``bench ab`` found as a table: on a terminal and in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ...core.errors import printable
from ...reports.ab import AbRow, AbRun, VersionFacts
from ...reports.grid import Cell, Column, Footnotes, Row, Table
from ...reports.text import MISSING, significant
from ..gating.seconds import failure

_SHOWN = {"pass": "pass", "fail": "FAIL", "could-not-measure": "could not measure"}
_SUMMARY = {"pass": "pass", "fail": "fail: slower", "could-not-measure": "could not measure all that is needed"}
_COUNTED = {"fail": "failed", "could-not-measure": "could not be measured", "pass": "passed"}


def ab_markdown(run: AbRun) -> str:
    """The same in GitHub's Markdown."""
    from ...reports.markdown import table_markdown

    return table_markdown(ab_table(run))


def ab_table(run: AbRun) -> Table:
    """Lay it out: a row per stage, the worst first; their reasons as footnotes."""
    footnotes = Footnotes()
    order = list(_COUNTED)
    rows = sorted(run.rows, key=lambda row: order.index(row.verdict))
    columns = (
        Column("method", "Method", numeric=False),
        Column("what", "What", numeric=False),
        Column("base", "Base", "ms"),
        Column("head", "Head", "ms"),
        Column("slowdown", "Slower by"),
        Column("verdict", "Verdict", numeric=False),
    )
    title = f"bench ab, {_version(run.head)} against {_version(run.base)}: {_SUMMARY[run.verdict]}"
    cells = tuple(_row(row, footnotes) for row in rows)
    return Table(columns, cells, tuple(footnotes.texts), title, tuple(_notes(run)))


def _row(row: AbRow, footnotes: Footnotes) -> Row:
    return Row(
        (
            Cell(row.method),
            Cell(row.what.replace("_", " ")),
            *(Cell(significant(1000 * value, 3), value) for value in (row.base_s, row.head_s)),
            Cell(_slowdown(row), row.slowdown, interval=row.interval),
            Cell(_SHOWN[row.verdict], notes=footnotes.number(row.reason)),
        )
    )


def _slowdown(row: AbRow) -> str:
    if row.slowdown is None or row.interval is None:
        return MISSING
    low, high = row.interval
    return f"{row.slowdown:+.1%} [{low:+.1%}, {high:+.1%}]"


def _version(facts: VersionFacts) -> str:
    return printable(facts.given + (f" ({facts.commit})" if facts.commit else ""))


def _notes(run: AbRun) -> Iterator[str]:
    counts = Counter(row.verdict for row in run.rows)
    if run.rows:
        yield ", ".join(f"{counts[verdict]} {said}" for verdict, said in _COUNTED.items() if counts[verdict])  # type: ignore[index]
        margin = f"{run.margin:.1%}".replace(".0%", "%")
        yield (
            "Slower by: Hodges-Lehmann estimate of the ratios of turns side by side, mean of all goes, with its "
            f"{run.level:.0%} interval. A row fails where it is slower by more than {margin}, and in two goes of fresh "
            f"processes surely slower, over all {run.tests} rows together."
        )
    for failed in run.failed:
        yield f"{failed.method}: {failure(failed)}{'' if failed.required else ' (left out)'}"
    for side, facts in (("base", run.base), ("head", run.head)):
        torch = f", torch {facts.torch}" if facts.torch else ""
        yield f"{side}: t2ibench {facts.version} in {facts.package}{torch}, by {facts.python}"
    yield from run.notes
