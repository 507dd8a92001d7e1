"""Pictures made elsewhere: on a phone, by another program, by another team."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..core.errors import BenchError
from ..datasets.images import image_files, load_rgb
from ..datasets.request import Request
from .base import Adapter, Images, Traits

T = TypeVar("T")


class Folder(Adapter):
    """``folder:PATH``: the picture of a prompt is the file whose stem is the prompt's id.

    Stems that are numbers match ids of the same number (``285.png`` and ``COCO_val2014_000000000285.jpg`` are
    ``000000000285``). An index, ``index.csv`` or
    ``index.jsonl`` in the folder or given as ``index=FILE``, names files itself: each row has ``file``, and
    ``prompt_id`` or ``prompt`` (the text).
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
        exact = _grouped((file.stem, file) for file in self._files)
        numbers = _grouped((_number(file.stem), file) for file in self._files)
        same = _grouped((_number(name), name) for name in prompts)
        matched = {}
        for name in prompts:
            number = _number(name)
            files = exact.get(name) or (numbers.get(number, []) if len(same[number]) == 1 else [])
            if files:
                matched[name] = _only(name, files)
        return matched

    def _by_index(self, prompts: Mapping[str, str]) -> dict[str, Path]:
        assert self._index is not None
        texts = {text: name for name, text in reversed(list(prompts.items()))}
        named = []
        for number, row in enumerate(_rows(self._index), 1):
            file = _beside(self._index, row.get("file"), number)
            named.append((str(row.get("prompt_id") or texts.get(str(row.get("prompt")), "")), file))
        return {name: _only(name, files) for name, files in _grouped(named).items() if name in prompts}


def _grouped(pairs: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def _only(name: str, files: list[Path]) -> Path:
    if len(files) > 1:
        raise BenchError(f"'{files[0]}' and '{files[1]}' are both the picture of '{name}': keep one")
    return files[0]


def _number(stem: str) -> str:
    """The stem without what does not tell numbers apart: leading zeros, and the prefix of COCO's 2014 files."""
    stem = re.sub(r"^COCO_(train|val|test)\d{4}_(?=\d+$)", "", stem)
    return stem.lstrip("0") or "0" if stem.isdecimal() else stem


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
