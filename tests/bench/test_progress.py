"""What is said now and then where there is no terminal."""

from __future__ import annotations

import pytest

from t2ibench.bench import progress


def test_a_transfer_of_unknown_length_is_no_line_per_chunk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    told = progress.lines("fetch weights (MB)", 1_000_000)
    for chunk in range(1, 101):
        now = chunk / 4
        told(chunk * 1_000_000, 0)
    assert capsys.readouterr().err.splitlines() == ["fetch weights (MB): 60 (4.00/s)"]


def test_the_end_of_a_task_is_always_said(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.task("measure", 3) as report:
        for done in (1, 2, 3):
            report(done)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("measure: 3 of 3 (")
