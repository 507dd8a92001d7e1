"""A metric over many runs: order, lines of one identity, steps that are surely there, pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from t2ibench.bench.gating.sides import Looker
from t2ibench.bench.gating.thresholds import Rule, Thresholds
from t2ibench.bench.history import history
from t2ibench.core.errors import BenchError
from t2ibench.reports.history import History, history_html, history_table

MINE = Thresholds(rule=(Rule(metric=("clip_score",), margin=0.02),))
N = 150


class Folder:
    """Runs by name; only their places are files."""

    def __init__(self, folder: Path, fake_side: Callable[..., Any]) -> None:
        self.folder, self.make, self.sides = folder, fake_side, dict[str, Any]()

    def add(self, name: str, level: float, **more: Any) -> None:
        """A run whose score lies about ``level``, the same prompts each time."""
        random = np.random.default_rng(len(self.sides))
        scores = np.random.default_rng(99).normal(0, 0.1, N) + level + random.normal(0, 0.03, N)
        day = len(self.sides) + 1
        more = {"created": f"2026-01-{day:02d}T12:00:00+00:00", "commit": f"abc{day}", "name": name, **more}
        self.sides[name] = self.make({"clip_score": scores}, tag=name, **more)
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / name / "run.json").write_text("{}")

    def open(self, path: Path) -> Any:
        name = str(path.relative_to(self.folder))
        if name not in self.sides:
            raise BenchError(f"'{name}' is broken")
        return self.sides[name]


@pytest.fixture
def runs(tmp_path: Path, fake_side: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Folder:
    found = Folder(tmp_path / "runs", fake_side)
    found.folder.mkdir()
    monkeypatch.setattr("t2ibench.bench.history.open_side", found.open)
    return found


def told(runs: Folder, metric: str | None = "clip_score") -> History:
    return history(runs.folder, metric, MINE, Looker)


def steps(found: History) -> list[tuple[int, str]]:
    (line,) = found.metrics[0].lines
    return [(place, point.step.kind) for place, point in enumerate(line.points) if point.step]


def test_a_step_is_marked_where_it_is_and_not_again(runs: Folder) -> None:
    for place, level in enumerate([0.6, 0.6, 0.6, 0.55, 0.55, 0.55, 0.6]):
        runs.add(f"deep/{place}", level)
    found = told(runs)
    assert steps(found) == [(3, "worse"), (6, "better")]
    step = found.metrics[0].lines[0].points[3].step
    assert step is not None and step.change == pytest.approx(-0.05, abs=0.015)
    assert step.interval is not None and step.interval[1] < 0
    assert "worse than at 2026-01-01T12:00:00+00:00 (abc1)" in step.reason and "6 comparisons" in step.reason


def test_what_creeps_is_seen_once_it_is_beyond_the_margin(runs: Folder) -> None:
    for place in range(8):
        runs.add(str(place), 0.6 - 0.005 * place)  # each a quarter of the margin
    ((place, kind), *more) = steps(told(runs))
    assert kind == "worse" and 4 <= place <= 6 and len(more) <= 1


def test_chance_alone_makes_no_steps(runs: Folder) -> None:
    for place in range(25):
        runs.add(f"{place:02d}", 0.6)
    assert steps(told(runs)) == []


def test_equal_pictures_are_no_step_and_other_numbers_of_them_are(runs: Folder) -> None:
    runs.add("a", 0.6)
    runs.add("b", 0.6)
    runs.sides["b"].tag = "a"
    assert steps(told(runs)) == []


def test_runs_stand_by_time_whatever_their_names(runs: Folder) -> None:
    runs.add("a", 0.6, created="2026-03-01T00:00:00+00:00")
    runs.add("z", 0.6, created="2026-01-01T00:00:00+00:00")
    assert [point.run for point in told(runs).metrics[0].lines[0].points] == ["z", "a"]


def test_other_identities_methods_and_suites_are_lines_of_their_own(runs: Folder) -> None:
    runs.add("a", 0.6)
    runs.add("b", 0.5, identity="other-weights:n{n}")
    runs.add("c", 0.4, method="sd15[steps=8]")
    runs.add("d", 0.6)
    found = told(runs)
    lines = [(line.method, len(line.points)) for line in found.metrics[0].lines]
    assert lines == [("sd15", 2), ("sd15", 1), ("sd15[steps=8]", 1)]
    assert all(point.step is None for line in found.metrics[0].lines for point in line.points)
    table = history_table(found.metrics[0])
    assert [row.cells[0].text for row in table.rows] == ["sd15 #1", "sd15 #1", "sd15 #2", "sd15[steps=8]"]
    assert any(note == "sd15 #2: clip_score:other-weights:n150" for note in table.notes)


def test_what_is_broken_is_left_out_and_said_and_a_run_counts_once(runs: Folder) -> None:
    runs.add("a", 0.6)
    runs.add("b", 0.6)
    (runs.folder / "bad").mkdir()
    (runs.folder / "bad" / "run.json").write_text("{}")
    runs.sides["copy"] = runs.sides["a"]
    (runs.folder / "copy").mkdir()
    (runs.folder / "copy" / "run.json").write_text("{}")
    found = told(runs)
    assert found.runs == 2 and found.notes == ["left out: 'bad' is broken"]


def test_nothing_to_show_is_said_in_one_line(runs: Folder, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no finished run in"):
        told(runs)
    with pytest.raises(BenchError, match="is no folder"):
        history(tmp_path / "none", None, MINE, Looker)
    runs.add("a", 0.6)
    with pytest.raises(BenchError, match="has metric 'clip_scor'; did you mean 'clip_score'"):
        told(runs, "clip_scor")


def test_the_page_draws_every_line_with_its_steps_and_needs_no_network(runs: Folder) -> None:
    for place, level in enumerate([0.6, 0.6, 0.5]):
        runs.add(str(place), level, method="sd15[checkpoint=</script><b>]")
    page = history_html(told(runs, None))
    figures = page.split('id="figures">')[1].split("</script>")[0]
    (choice,) = json.loads(figures)[0]
    line, mark = choice["data"]
    assert line["x"][0].startswith("2026-01-01") and len(line["y"]) == 3 and line["error_y"]["array"]
    assert mark["marker"]["symbol"] == ["triangle-down"] and "worse than at" in mark["hovertext"][0].replace(
        "<br>", " "
    )
    assert "<b>]" not in page and "http-equiv" in page and 'src="http' not in page
    assert "abc3" in page and choice["layout"]["xaxis"]["type"] == "date"


def test_the_command_prints_tables_and_json_and_writes_the_page(
    runs: Folder, bench: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    for place, level in enumerate([0.6, 0.6, 0.5]):
        runs.add(str(place), level)
    code, out, error = bench("history", runs.folder, "--device", "cpu", "--offline", "--html", tmp_path / "h.html")
    assert code == 0, error
    assert "2026-01-03 12:00" in out and "abc3" in out and "worse¹" in out and "A step is where a run differs" in out
    assert (tmp_path / "h.html").stat().st_size > 100_000
    code, out, _ = bench("history", runs.folder, "--metric", "clip_score", "--device", "cpu", "--offline", "--json")
    found = History.model_validate_json(out)
    assert code == 0 and found.metrics[0].lines[0].points[2].commit == "abc3"
