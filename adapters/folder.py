"""Pictures made elsewhere: on a phone, by another program, by another team."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from ..core.errors import BenchError
from ..datasets.images import image_files, load_rgb
from ..datasets.request import Request
from ..datasets.sources import matched
from .base import Adapter, Images, Traits


class Folder(Adapter):
    """``folder:PATH``: the picture of a prompt is the file whose stem is the prompt's id.

    Stems that are numbers match ids of the same number (``285.png`` and ``COCO_val2014_000000000285.jpg`` are
    ``000000000285``). An index, ``index.csv`` or ``index.jsonl`` in the folder or given as ``index=FILE``, names files
    itself: each row has ``file``, and ``prompt_id`` or ``prompt`` (the text).
    """

    traits = Traits(sampled=False)

    def __init__(self, argument: str, *, index: str | None = None) -> None:
        self.checkpoint = argument
        self.path = Path(argument).expanduser()
        self._index = Path(index) if index else self._own_index()

    def load(self, device: str, dtype: str) -> None:
        """Nothing to load."""

    def generate(self, requests: Sequence[Request]) -> Images:
        return np.stack([load_rgb(self._matched[request.prompt_id]) for request in requests])

    def file(self, request: Request) -> Path:
        if request.sample:
            raise BenchError(f"'{self.path}' has one picture per prompt: leave sampling.samples at 1")
        return self._matched[request.prompt_id]

    def select(self, prompts: Mapping[str, str]) -> set[str]:
        self._matched = self._by_index(prompts) if self._index else self._by_stem(prompts)
        if not self._matched:
            example = next(iter(prompts), "")
            raise BenchError(
                f"no file in '{self.path}' matches a prompt: name them by prompt id, such as '{example}.png', or give "
                "index=FILE with the columns file and prompt_id"
            )
        return set(self._matched)

    def fingerprint(self) -> str:
        return "files"  # each picture's own digest is in the store

    @cached_property
    def _files(self) -> list[Path]:
        return image_files(self.path)

    def _own_index(self) -> Path | None:
        return next((file for name in ("index.csv", "index.jsonl") if (file := self.path / name).is_file()), None)

    def _by_stem(self, prompts: Mapping[str, str]) -> dict[str, Path]:
        files = {file.relative_to(self.path).as_posix(): file for file in self._files}
        return {name: files[key] for key, name in matched(files, prompts).items()}

    def _by_index(self, prompts: Mapping[str, str]) -> dict[str, Path]:
        assert self._index is not None
        texts = {text: name for name, text in reversed(list(prompts.items()))}
        found: dict[str, Path] = {}
        for number, row in enumerate(_rows(self._index), 1):
            file = _beside(self._index, row.get("file"), number)
            name = str(row.get("prompt_id") or texts.get(str(row.get("prompt")), ""))
            if name in found:
                raise BenchError(f"'{found[name]}' and '{file}' are both the picture of '{name}': keep one")
            if name in prompts:
                found[name] = file
        return found


def _beside(index: Path, name: str | None, row: int) -> Path:
    folder = index.parent.resolve()
    file = (folder / (name or "")).resolve()
    if not name or not file.is_file():
        raise BenchError(f"'{index}' row {row}: no file '{name}' beside it")
    if not file.is_relative_to(folder):  # an index of unknown origin must not pick files of this machine
        raise BenchError(f"'{index}' row {row}: '{name}' lies outside of '{index.parent}'")
    return file


def _rows(index: Path) -> list[dict[str, str]]:
    try:
        with index.open(encoding="utf-8-sig", newline="") as file:
            if index.suffix == ".jsonl":
                return [dict(json.loads(line)) for line in file if line.strip()]
            return list(csv.DictReader(file, delimiter="\t" if index.suffix == ".tsv" else ","))
    except (OSError, ValueError, TypeError) as error:
        raise BenchError(f"cannot read the index '{index}': {error}") from error
