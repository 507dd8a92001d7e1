"""The one exception a user is meant to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class BenchError(Exception):
    """Something the user can mend; its text is one line that names the file, row or option, and the mend.

    The command line prints it on standard error and exits with status 2. File names and prompts in it are untrusted:
    what a terminal would obey (escape sequences, line ends) is taken out.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class WriteError(BenchError):
    """A file could not be written: the disk is full, a folder is read-only."""


def first_mistake(error: ValidationError) -> str:
    """Return where the first of a file's mistakes is, and which: ``results.0.n: Field required``."""
    first = error.errors()[0]
    where, message = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
    return ": ".join(filter(None, (where, message)))


def printable(text: str) -> str:
    """Return ``text`` on one line, without characters that a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in " ".join(text.split()))
