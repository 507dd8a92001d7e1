"""Prompts from text, tables and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..core.errors import BenchError
from ..core.registry import suggest
from .dataset import Dataset

TEXT_COLUMNS = ("prompt", "prompts", "caption", "text")
ID_COLUMNS = ("id", "prompt_id", "image_id")
IMAGE_COLUMNS = ("image", "file_name", "image_id")


@dataclass(frozen=True)
class Prompt:
    """A text to make pictures of.

    ``id`` is unique within its list; it comes from the file, so it is a key and never the name of a file.
    """

    id: str
    text: str
    image: str | None = None
    """File name, or else the id, of the photo that the text describes."""
    row: int | None = None
    """Where it stands in its file, from 1: the line, or the row as a spreadsheet counts (1 is the header)."""


@dataclass(frozen=True)
class PromptFile(Dataset):
    """Prompts from a file of the user's."""

    path: Path | None = None
    column: str | None = None
    name = "prompts"
    kind = "prompts"

    def prompts(self, root: Path) -> list[Prompt]:
        """Read the file (``root`` plays no part); raises BenchError where none is named or it cannot be read."""
        if self.path is None:
            raise BenchError(
                f"dataset 'prompts' needs a file and none is named; give --prompts FILE ({', '.join(_READERS)})"
            )
        return read_prompts(self.path, self.column)


PROMPT_FILE = PromptFile()
"""Without a file yet: ``PromptFile(path)`` has one."""

Row = tuple[int, Mapping[str, Any]]
"""Number of the row and its cells by column."""


def read_prompts(path: Path, column: str | None = None) -> list[Prompt]:
    """Read the prompts of a .txt, .csv, .tsv, .jsonl or .json file, in their order.

    Text: one prompt a line, blank lines skipped. Tables and objects: the text is in ``column`` or in the first of
    prompt, prompts, caption, text; the id in the first of id, prompt_id, image_id. Without an id it is the position
    from 0 ("00012"). White space around a text is dropped; case of column names plays no part.

    Raises BenchError, naming the row, for a missing file, text that is not UTF-8, a broken row, a missing column, an
    empty prompt, an id that comes twice, and a file without prompts.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BenchError(f"{path}: prompts are read from {', '.join(_READERS)} files, not '{path.suffix}'")
    rows = list(reader(_read_text(path), path))
    if not rows:
        raise BenchError(f"{path}: no prompts in it; write one a line, or a table with a column 'prompt'")
    columns = list({name: None for _, cells in rows for name in cells})
    text = _text_column(columns, column, path)
    prompts = [_prompt(number, cells, text, index, path) for index, (number, cells) in enumerate(rows)]
    _refuse_twins(prompts, path)
    return prompts


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BenchError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}; check the path of the prompt file") from error


def _lines(text: str, path: Path) -> Iterable[Row]:
    return [(n, {"prompt": line}) for n, line in _numbered(text)]


def _numbered(text: str) -> Iterable[tuple[int, str]]:
    """The lines that are not blank; not by splitlines, for a prompt may hold U+2028 and its like."""
    return ((n, line) for n, line in enumerate(io.StringIO(text, newline=None), 1) if line.strip())


def _csv(text: str, path: Path) -> Iterable[Row]:
    return _named(_records(text, path, csv.excel), path)


def _tsv(text: str, path: Path) -> Iterable[Row]:
    """MLPerf's list quotes cells as CSV does, PartiPrompts has bare quotes: verbatim where it is not proper CSV."""
    try:
        records = _records(text, path, csv.excel_tab)
    except BenchError:
        records = _records(text, path, csv.excel_tab, csv.QUOTE_NONE)
    return _named(records, path)


def _records(text: str, path: Path, dialect: type[csv.Dialect], quoting: int = csv.QUOTE_MINIMAL) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), dialect, strict=True, quoting=quoting)  # type: ignore[arg-type]
    try:
        return [record for record in reader if record]
    except csv.Error as error:
        mend = "put a cell that holds quotes into quotes, and double those inside"
        raise BenchError(f"{path}: line {reader.line_num}: {error}; {mend}") from error


def _named(records: list[list[str]], path: Path) -> list[Row]:
    """Number the records below the header; a missing cell is empty, one too many an unquoted comma in a prompt."""
    header = [name.strip() for name in records[0]] if records else []
    for number, record in enumerate(records[1:], 2):
        if any(record[len(header) :]):
            cells = f"{len(record)} cells under {len(header)} columns"
            raise BenchError(f"{path}: row {number}: {cells}; put a text that holds the separator into quotes")
    return [
        (n, dict(zip_longest(header, record[: len(header)], fillvalue=""))) for n, record in enumerate(records[1:], 2)
    ]


def _jsonl(text: str, path: Path) -> Iterable[Row]:
    return [(n, _cells(_parse(line, path, f"line {n}: "), path, n)) for n, line in _numbered(text)]


def _json(text: str, path: Path) -> Iterable[Row]:
    items = _parse(text, path)
    if not isinstance(items, list):
        raise BenchError(f'{path}: a list of prompts is expected, not {type(items).__name__}; write ["...", "..."]')
    return [(n, _cells(item, path, n)) for n, item in enumerate(items, 1)]


def _parse(text: str, path: Path, where: str = "") -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise BenchError(f"{path}: {where}not JSON ({error}); mend or remove it") from error


def _cells(item: Any, path: Path, row: int) -> Mapping[str, Any]:
    if isinstance(item, str):
        return {"prompt": item}
    if isinstance(item, dict):
        return item
    raise BenchError(f"{path}: row {row} is neither a text nor an object: {json.dumps(item)[:60]}; mend or remove it")


_READERS: dict[str, Callable[[str, Path], Iterable[Row]]] = {
    ".txt": _lines,
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _jsonl,
    ".json": _json,
}


def _text_column(columns: list[str], wanted: str | None, path: Path) -> str:
    """Return the name, as written in the file, of the column with the texts."""
    folded = {name.lower(): name for name in reversed(columns)}
    names = (wanted,) if wanted else TEXT_COLUMNS
    for name in names:
        if name.lower() in folded:
            return folded[name.lower()]
    hint = next(filter(None, (suggest(name, columns) for name in names)), "; name the one with the prompts 'prompt'")
    raise BenchError(f"{path}: no column {' or '.join(names)} (columns: {', '.join(columns)}){hint}")


def _prompt(row: int, cells: Mapping[str, Any], column: str, index: int, path: Path) -> Prompt:
    text = cells.get(column)
    if not isinstance(text, str | None):
        raise BenchError(f"{path}: row {row}: '{column}' is not a text: {json.dumps(text)[:60]}; mend or remove it")
    if not text or not text.strip():
        raise BenchError(f"{path}: row {row}: the prompt is empty; write one or remove the row")
    return Prompt(_first(cells, ID_COLUMNS) or f"{index:05d}", text.strip(), _first(cells, IMAGE_COLUMNS), row)


def _first(cells: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first text or whole number under one of ``names``."""
    folded = {name.lower(): value for name, value in cells.items()}
    found = (str(folded[name]).strip() for name in names if isinstance(folded.get(name), str | int))
    return next(filter(None, found), None)


def _refuse_twins(prompts: list[Prompt], path: Path) -> None:
    rows: dict[str, int | None] = {}
    for prompt in prompts:
        if prompt.id in rows:
            raise BenchError(
                f"{path}: row {prompt.row}: id '{prompt.id}' was used in row {rows[prompt.id]}; give it its own"
            )
        rows[prompt.id] = prompt.row
