"""One registry for adapters, codecs, metrics, suites and datasets."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, NamedTuple, TypeVar

from .errors import BenchError

T = TypeVar("T")


class Entry(NamedTuple):
    """What a registry knows of a name before it imports anything."""

    target: str
    """Where the object is: ``"package.module:attribute"``; a leading dot is relative to this package."""
    summary: str
    """One line for ``bench ls``."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for a near match of ``name`` among ``known``, else ``""``."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def import_target(target: str) -> Any:
    """Import ``"module:attribute"`` and return the attribute; a leading dot is relative to this package.

    Raises BenchError where the module or the attribute is missing.
    """
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module, __package__.rpartition(".")[0]), attribute)
    except Exception as error:  # whatever a user's own module does when it is imported
        raise BenchError(f"cannot import '{target}': {type(error).__name__}: {error}") from error


@dataclass
class Registry(Generic[T]):
    """Names of one kind of object, imported only when asked for.

    ``base`` (``"module:attribute"``) is the class that an entry must be, or be an instance or a subclass of.
    Other distributions add names through the entry-point group ``group``.
    """

    kind: str
    base: str
    entries: dict[str, Entry]
    group: str | None = None
    load: Callable[[str], Any] = import_target
    """Turns an entry's target into the object."""

    def names(self) -> list[str]:
        """All names, the built-in ones first, in the order of declaration."""
        return [*self.entries, *(name for name in self._plugins() if name not in self.entries)]

    def summaries(self) -> dict[str, str]:
        """One line for every name."""
        return {name: self._entry(name).summary for name in self.names()}

    def __contains__(self, name: str) -> bool:
        return name in self.entries or name in self._plugins()

    def target(self, name: str) -> str:
        """Where the object called ``name`` is, without importing it; BenchError for an unknown name."""
        return self._entry(name).target

    def get(self, name: str) -> T:
        """Import and return the object called ``name``.

        Raises BenchError for an unknown name, a broken import, or an object of the wrong class.
        """
        return self.check(self.load(self.target(name)), name)

    def check(self, found: Any, name: str) -> T:
        """Return ``found`` if it is what this registry holds, else raise BenchError."""
        base = import_target(self.base)
        if isinstance(found, base) or (isinstance(found, type) and issubclass(found, base)):
            return found  # type: ignore[return-value]
        raise BenchError(f"{self.kind} '{name}' is {found!r}, which is no {base.__module__}.{base.__name__}")

    def _entry(self, name: str) -> Entry:
        if name in self.entries:
            return self.entries[name]
        plugins = self._plugins()
        if name in plugins:
            return plugins[name]
        known = [*self.entries, *plugins]
        raise BenchError(f"unknown {self.kind} '{name}'{suggest(name, known)} (known: {', '.join(known)})")

    def _plugins(self) -> dict[str, Entry]:
        return _plugins_of(self.group, tuple(sys.path)) if self.group else {}


@lru_cache(maxsize=16)
def _plugins_of(group: str, _searched: tuple[str, ...]) -> dict[str, Entry]:
    """Read what installed packages announce; once, since that reads a file of each of them."""
    found = entry_points(group=group)
    return {point.name: Entry(point.value, f"from {point.dist.name if point.dist else 'a plug-in'}") for point in found}
