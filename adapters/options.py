"""The options of a method string, which are text, as numbers and choices; BenchError names the option and what fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import TypeVar

from ..core.errors import BenchError

N = TypeVar("N", int, float)


def option(name: str, text: str, kind: type[N], fits: Callable[[N], bool], expected: str) -> N:
    """Return the number that the option ``name`` was given as text; BenchError unless it ``fits``."""
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise BenchError(f"{name}={text} must be {expected}")
    return value


def share(name: str, text: str) -> float:
    """Return the option ``name``, a number from 0 to 1."""
    return option(name, text, float, lambda value: 0 <= value <= 1, "a number from 0 to 1")


def amount(name: str, text: str) -> float:
    """Return the option ``name``, a finite number of at least 0."""
    return option(name, text, float, lambda value: value >= 0 and isfinite(value), "a number of at least 0")


def whole(name: str, text: str) -> int:
    """Return the option ``name``, a whole number of at least 1."""
    return option(name, text, int, lambda value: value >= 1, "a whole number of at least 1")


def choice(name: str, text: str, known: Sequence[str]) -> str:
    """Return the option ``name``, one of ``known``."""
    if text not in known:
        raise BenchError(f"{name}={text} must be one of {', '.join(known)}")
    return text
