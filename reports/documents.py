"""JSON files that other people's scripts rely on, each with the number of its schema: read, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ..core.errors import BenchError, first_mistake

M = TypeVar("M", bound=BaseModel)


def read(path: str | Path, name: str, missing: str) -> tuple[bytes, str]:
    """Return the bytes of ``name`` in the folder ``path``, or of the file ``path`` itself, and what to call it.

    Raises BenchError that says ``missing`` where there is none, or why it cannot be read.
    """
    file = Path(path)
    file = file / name if file.is_dir() else file
    try:
        return file.read_bytes(), str(file)
    except FileNotFoundError as error:
        raise BenchError(missing) from error
    except OSError as error:
        raise BenchError(f"cannot read '{file}': {error}") from error


def parse(model: type[M], text: bytes, file: str, schema: int, wrong: str, kind: str | None = None) -> M:
    """Return what the text of a file says; ``kind`` is what its field of that name has to hold.

    Raises BenchError for text that is broken, of another schema, or, as ``wrong`` says, something else.
    """
    if text.startswith(b"PK\3\4"):
        raise BenchError(
            f"'{file}' is an archive: give a run's folder, or to 'bench gate' and its like a whole baseline file"
        )
    try:
        data: Any = json.loads(text)
    except ValueError as error:
        raise BenchError(f"cannot read '{file}': {error}") from error
    told = data if isinstance(data, dict) else {}
    if kind is not None and told.get("kind") != kind:
        raise BenchError(f"'{file}' {wrong}")
    if told.get("schema") != schema:
        raise BenchError(
            f"'{file}' has schema {told.get('schema')!r}, this version reads {schema}: use the bench that wrote it"
        )
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise BenchError(f"'{file}' {wrong}: {first_mistake(error)}") from error
