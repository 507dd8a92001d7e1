"""The papers' claims as ratios within one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...reports.latency import END_TO_END, TOTAL, ClaimFound, Comparison, LatencyRow
from ...reports.latency_run import Added, added
from .suites import Claim


def claims_found(
    claims: Sequence[Claim], places: Mapping[str, int], rows: Sequence[LatencyRow], compared: Sequence[Comparison]
) -> Iterator[ClaimFound]:
    """Hold claims against what was measured; ``places`` says which row each method of the suite is.

    A claim of a row that is not there is left out.
    """
    for claim in claims:
        if (index := places.get(claim.row)) is None:
            continue
        found = _whole(rows[index], index, compared) if claim.what == TOTAL else _stage(claim.what, index, compared)
        if found is None:
            continue
        how, ratio, interval = found
        yield ClaimFound(
            text=claim.text, row=index, what=claim.what, how=how, ratio=ratio, interval=interval,
            bound=_bound(claim), holds=_holds(claim, interval), published=claim.published,
        )  # fmt: skip


def _stage(what: str, index: int, compared: Sequence[Comparison]) -> Added | None:
    found = next((each for each in compared if (each.row, each.what) == (index, what)), None)
    return Added("interleaved", found.ratio, found.interval) if found else None


def _whole(row: LatencyRow, index: int, compared: Sequence[Comparison]) -> Added | None:
    """Whole pictures as they were made; else what the control network adds to the other stages of its own row.

    Its base runs the same stages: to time them twice, in two processes, would only add their noise.
    """
    found = _stage(END_TO_END, index, compared)
    return found._replace(how="end to end") if found else added(row)


def _bound(claim: Claim) -> str | None:
    parts = (f"at most {claim.most:g}" if claim.most else "", f"at least {claim.least:g}" if claim.least else "")
    return " and ".join(filter(None, parts)) or None


def _holds(claim: Claim, interval: tuple[float, float] | None) -> bool | None:
    if interval is None or (claim.most is None and claim.least is None):
        return None
    low, high = interval
    if (claim.most is None or high <= claim.most) and (claim.least is None or low >= claim.least):
        return True
    return False if (claim.most is not None and low > claim.most) or (claim.least and high < claim.least) else None
