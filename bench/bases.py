"""Which row of a run is the base that another row's method sits on."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from ..adapters import ADAPTERS, SETTINGS
from ..adapters.spec import Spec, parse
from ..core.errors import BenchError
from ..reports.schema import Result, Run
from .places import PLACE

BESIDE = (*SETTINGS, *PLACE)
"""Options that make no other method: how it samples, and where."""


class Base(NamedTuple):
    """The row of a base, or why there is none; neither where the method sits on no other."""

    row: Result | None = None
    reason: str | None = None


def base_of(result: Result, run: Run) -> Base:
    """Return the base of a result of ``run``: the row of the method that its ``base=``, stated or not, names.

    Method strings are compared as they are parsed, with the defaults of options put in; ``lora=`` beside ``base=``
    belongs to the base. Of several such rows, at other schedulers, steps or guidance, it is that of equal settings.
    """
    if (wanted := _wanted(result.method)) is None:
        return Base()
    rows = [other for other in run.results if _identity(_parsed(other.method)) == _identity(wanted)]
    if not rows:
        return Base(reason=f"its run has no row of its base '{wanted.text}'")
    return Base(next((row for row in rows if row.settings == result.settings), rows[0]))


def _wanted(method: str) -> Spec | None:
    """The method that another one sits on; None where it sits on none."""
    options = _options(spec) if (spec := _parsed(method)) else {}
    if not options.get("base"):
        return None
    base = _parsed(options["base"])
    tuned = {"lora": options["lora"]} if options.get("lora") else {}
    return base and replace(base, options=base.options | tuned)


def _parsed(method: str) -> Spec | None:
    try:
        return parse(method)
    except BenchError:  # of a newer version, or with a folder that was moved
        return None


def _identity(spec: Spec | None) -> object:
    """What makes two method strings the same method, whatever it samples with."""
    if spec is None:
        return None
    return spec.name, spec.argument, {name: text for name, text in _options(spec).items() if name not in BESIDE}


def _options(spec: Spec) -> Mapping[str, str]:
    """The options of a method string over the defaults of its class."""
    if spec.name not in ADAPTERS.entries:  # a class of the user's is not imported to draw a table
        return spec.options
    parameters = inspect.signature(ADAPTERS.get(spec.name)).parameters.values()
    return {p.name: p.default for p in parameters if isinstance(p.default, str)} | spec.options
