"""What a GitHub runner reads from a step: annotations on its output, and a file of the step's outputs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from .outcomes import Case, cases

if TYPE_CHECKING:
    from ..gating.gate import Gate

_SHOWN = 10
"""Annotations of each kind that GitHub shows for a step."""
_COMMANDS = {"failed": "error", "error": "warning"}
_TITLES = {"failed": "worse", "error": "could not measure"}


def is_github() -> bool:
    """Whether this is a step of a GitHub workflow."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def annotate(found: Gate) -> None:
    """Print the annotations of a verdict. The runner reads standard error, too, and what others read stays whole."""
    for line in annotation_lines(found):
        print(line, file=sys.stderr)


def annotation_lines(found: Gate) -> Iterator[str]:
    """Yield an ``::error`` for every row that failed, a ``::warning`` for what is needed and could not be measured."""
    made = cases(found)
    for outcome, name in _COMMANDS.items():
        told = [case for case in made if case.outcome == outcome]
        # The last one that is shown speaks for those that are not.
        shown = told if len(told) <= _SHOWN else told[: _SHOWN - 1]
        for case in shown:
            yield command(name, _text(case), f"bench gate: {case.name} ({_TITLES[outcome]})")
        if left := len(told) - len(shown):
            yield command(name, f"{left} more rows are in the report", f"bench gate ({_TITLES[outcome]})")


def command(name: str, message: str, title: str) -> str:
    """Return a workflow command such as ``::error title=T::MESSAGE``, escaped as the runner takes it apart."""
    return f"::{name} title={_escape(title, '%', ':', ',')}::{_escape(message, '%')}"


def set_outputs(values: Mapping[str, object]) -> None:
    """Add to the outputs of this step of a GitHub workflow; nothing elsewhere."""
    file = os.environ.get("GITHUB_OUTPUT")
    if is_github() and file:
        append(Path(file), [line for name, value in values.items() for line in _output(name, str(value))])


def append(file: Path, lines: Iterable[str]) -> None:
    """Add lines to a file that the runner reads after the step."""
    with file.open("a", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def _output(name: str, value: str) -> Iterator[str]:
    """With a delimiter that nobody can guess: no path with a line end in it sets another output."""
    end = uuid4().hex
    yield from (f"{name}<<{end}", value, end)


def _text(case: Case) -> str:
    return "\n".join(filter(None, (case.reason, case.values)))


def _escape(text: str, *special: str) -> str:
    # The percent sign first, or it would be escaped twice.
    for character in (*special, "\r", "\n"):
        text = text.replace(character, f"%{ord(character):02X}")
    return text
