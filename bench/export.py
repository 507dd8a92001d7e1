"""``bench export``: a run in the shapes that other tools read."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..core.errors import BenchError
from ..core.files import write_atomic
from ..reports.loaded import LoadedRun, load_run
from .paper_tables import named

if TYPE_CHECKING:
    import pandas as pd

Shape: TypeAlias = Literal["csv", "parquet", "latex", "markdown", "html", "model-index"]

FRAMES: Mapping[str, Callable[[pd.DataFrame], bytes]] = {
    "csv": lambda frame: frame.to_csv(index=False, lineterminator="\n").encode(),
    "parquet": lambda frame: _parquet(frame),
}
"""Shapes of numbers, of any number of runs."""


def export_command(asked: Mapping[str, Any]) -> None:
    """``bench export``; see there for the options.

    Raises BenchError for options that do not go together, and as ``load_run``.
    """
    shape, out = asked["shape"], asked["out"]
    _check(asked)
    data = _frames(asked) if shape in FRAMES else _texts(asked)
    if out:
        write_atomic(out, data)
    else:
        sys.stdout.buffer.write(data)


def _check(asked: Mapping[str, Any]) -> None:
    shape, runs = asked["shape"], asked["runs"]
    framed, index = shape in FRAMES, shape == "model-index"
    wrong = {
        "parquet is no text: add --out FILE": shape == "parquet" and not asked["out"],
        f"{shape} takes one run: name the runs one by one": not framed and len(runs) > 1,
        "--wide and --scores are for csv and parquet": not framed and (asked["wide"] or asked["scores"]),
        "--scores has one form: leave out --wide": asked["wide"] and asked["scores"],
        "--method and --name are for model-index": not index and (asked["method"] or asked["name"]),
    }
    for message, is_so in wrong.items():
        if is_so:
            raise BenchError(message)


def _frames(asked: Mapping[str, Any]) -> bytes:
    import pandas as pd

    runs = named([(path, load_run(path)) for path in asked["runs"]])
    frames = [_frame(run, asked["wide"], asked["scores"]) for _, run in runs]
    if len(runs) > 1:
        for (name, _), frame in zip(runs, frames, strict=True):
            frame.insert(0, "run", name)
    return FRAMES[asked["shape"]](frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True))


def _frame(run: LoadedRun, wide: bool, scores: bool) -> pd.DataFrame:
    return run.scores() if scores else run.to_frame(wide)


def _texts(asked: Mapping[str, Any]) -> bytes:
    from ..reports.formats import FORMATS

    (path,) = asked["runs"]
    run = load_run(path)
    if asked["shape"] == "model-index":
        return run.model_index(asked["method"], asked["name"]).encode()
    return FORMATS[asked["shape"]](run.table()).encode()


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
