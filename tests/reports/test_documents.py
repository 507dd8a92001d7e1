"""What is no file of ours is refused in one line that says what it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from t2ibench.core.errors import BenchError
from t2ibench.reports.ab import load_ab
from t2ibench.reports.latency import load_latency
from t2ibench.reports.schema import load_run

FILES = {load_run: "run.json", load_latency: "latency.json", load_ab: "ab.json"}
SCHEMAS = {load_run: 1, load_latency: 1, load_ab: 2}


@pytest.fixture(params=FILES, ids=FILES.values())
def load(request: pytest.FixtureRequest) -> Callable[[Path], Any]:
    return request.param


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", r"^cannot read '.*json': Expecting property name"),
        ("[1]", r"has schema None, this version reads OWN: use the bench that wrote it$|is not of 'bench ab'"),
        ({"schema": 9, "kind": "ab"}, r"has schema 9, this version reads OWN: use the bench that wrote it$"),
        (
            {"schema": "OWN", "kind": "ab"},
            r"(is not a run|holds no latencies|is not of 'bench ab'.*): \w+: (Field required|Input should be)",
        ),
    ],
)
def test_what_it_is_not(load: Callable[[Path], Any], tmp_path: Path, text: object, says: str) -> None:
    own = str(SCHEMAS[load])
    written = (text if isinstance(text, str) else json.dumps(text)).replace('"OWN"', own)
    (tmp_path / FILES[load]).write_text(written)
    for path in (tmp_path, tmp_path / FILES[load]):
        with pytest.raises(BenchError, match=says.replace("OWN", own)):
            load(path)


def test_nothing_there_and_an_archive(load: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=f"^no .*{FILES[load]}"):
        load(tmp_path)
    with ZipFile(tmp_path / "baseline.zip", "w") as archive:
        archive.writestr("run.json", "{}")
    with pytest.raises(BenchError, match=r"is an archive: give a run's folder, or to 'bench gate'"):
        load(tmp_path / "baseline.zip")
    (tmp_path / FILES[load]).mkdir()
    with pytest.raises(BenchError, match=r"^cannot read"):
        load(tmp_path)
