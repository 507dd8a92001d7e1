"""What a distance has in excess of that between real pictures."""

from __future__ import annotations

import pytest

from t2ibench.bench.excess import add_excess
from t2ibench.metrics.value import MetricValue
from t2ibench.reports.schema import Result, RunSettings


def row(method: str, value: float | None, n: int = 128, reference: str = "ref-1") -> Result:
    found = MetricValue(
        value=value,
        reason="no pictures" if value is None else None,
        n=n,
        identity=f"mini_fd:net@1:fp32:n{n}:{reference}:v1",
        higher_is_better=False,
    )
    return Result(method=method, checkpoint=None, n=n, settings=RunSettings(), metrics={"mini_fd": found})


def excess(*rows: Result) -> dict[str, MetricValue]:
    add_excess(rows, "scenes", ["mini_fd", "not_measured"])
    assert all(set(result.metrics) == {"mini_fd", "mini_fd_excess"} for result in rows)
    return {result.method: result.metrics["mini_fd_excess"] for result in rows}


def test_is_the_value_less_that_of_the_row_of_real_pictures() -> None:
    found = excess(row("a", 1.5), row("scenes", 0.25), row("b", 0.125))
    assert (found["a"].value, found["b"].value) == (1.25, -0.125)
    assert found["a"].identity == "mini_fd_excess:over-scenes:net@1:fp32:n128:ref-1:v1"
    assert found["a"].n == 128
    assert found["a"].interval is None
    assert not found["a"].higher_is_better
    assert found["scenes"].value is None
    assert found["scenes"].reason == "the excess of the other rows is over this one"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([row("a", 1.0)], "needs a row 'scenes'"),
        ([row("a", 1.0, n=64), row("scenes", 0.5)], "From different numbers of pictures"),
        ([row("a", 1.0, reference="ref-2"), row("scenes", 0.5)], "different references"),
        ([row("a", None), row("scenes", 0.5)], "no pictures"),
        ([row("a", 1.0), row("scenes", None)], "'scenes' has none: no pictures"),
    ],
)
def test_where_there_is_none_it_says_why(rows: list[Result], reason: str) -> None:
    found = excess(*rows)["a"]
    assert found.value is None
    assert reason in (found.reason or "")
