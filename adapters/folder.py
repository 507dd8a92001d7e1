"""Pictures made elsewhere: on a phone, by another program, by another team."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from ..core.errors import BenchError
from ..datasets.images import image_files, load_rgb
from ..datasets.request import Request
from .base import Adapter, Images


class Folder(Adapter):
    """``folder:PATH``: the picture of a prompt is the file whose stem is the prompt's id.

    Stems that are numbers match ids of the same number (``285.png`` and ``COCO_val2014_000000000285.jpg`` are
    ``000000000285``). An index, ``index.csv`` or
    ``index.jsonl`` in the folder or given as ``index=FILE``, names files itself: each row has ``file``, and
    ``prompt_id`` or ``prompt`` (the text).
    """

    def __init__(self, argument: str, *, index: str | None = None) -> None:
        self.checkpoint = argument
        self.path = Path(argument).expanduser()
        self._index = Path(index) if index else self._own_index()

    def load(self, device: str, dtype: str) -> None:
        """Nothing to load."""

    def generate(self, requests: Sequence[Request]) -> Images:
        return np.stack([load_rgb(self._matched[request.prompt_id]) for request in requests])

    def file(self, request: Request) -> Path:
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
        stems = _unique({}, ((_canonical(file.stem), file) for file in self._files))
        return {name: stems[key] for name in prompts if (key := _canonical(name)) in stems}

    def _by_index(self, prompts: Mapping[str, str]) -> dict[str, Path]:
        assert self._index is not None
        texts = {text: name for name, text in reversed(list(prompts.items()))}
        matched: dict[str, Path] = {}
        for number, row in enumerate(_rows(self._index), 1):
            file = self._index.parent / str(row.get("file") or "")
            if not row.get("file") or not file.is_file():
                raise BenchError(f"'{self._index}' row {number}: no file '{row.get('file')}' beside it")
            name = str(row.get("prompt_id") or texts.get(str(row.get("prompt")), ""))
            if name in prompts:
                _unique(matched, [(name, file)])
        return matched


def _unique(found: dict[str, Path], pairs: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    for key, file in pairs:
        if key in found:
            raise BenchError(f"'{found[key]}' and '{file}' are both the picture of '{key}': keep one")
        found[key] = file
    return found


def _canonical(stem: str) -> str:
    stem = re.sub(r"^COCO_(train|val|test)\d{4}_(?=\d+$)", "", stem)
    return stem.lstrip("0") or "0" if stem.isdecimal() else stem


def _rows(index: Path) -> list[dict[str, str]]:
    try:
        with index.open(encoding="utf-8-sig", newline="") as file:
            if index.suffix == ".jsonl":
                return [json.loads(line) for line in file if line.strip()]
            return list(csv.DictReader(file, delimiter="\t" if index.suffix == ".tsv" else ","))
    except (OSError, ValueError) as error:
        raise BenchError(f"cannot read the index '{index}': {error}") from error
