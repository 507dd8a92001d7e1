"""How methods and codecs are named on the command line: ``name[:argument][option=value,...]``."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import BenchError
from ..core.registry import suggest


@dataclass(frozen=True)
class Spec:
    """A parsed method string."""

    text: str
    name: str
    argument: str | None = None
    options: dict[str, str] = field(default_factory=dict)


def split_list(text: str, separator: str = ",") -> list[str]:
    """Split at separators that stand outside brackets; empty parts are dropped.

    ``"sd15[steps=8,guidance=1],folder:a"`` has two parts.
    """
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if character == separator and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def parse(text: str) -> Spec:
    """Parse ``name[:argument][option=value,...]``; values may hold brackets themselves (``base=snapfusion[steps=8]``).

    Raises BenchError for unbalanced brackets or an option without ``=``.
    """
    head, inside = _cut_options(text.strip())
    name, colon, argument = head.partition(":")
    if not name:
        raise BenchError(f"'{text}' names no method: expected NAME, NAME[option=value] or NAME:ARGUMENT")
    options = {}
    for part in split_list(inside):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise BenchError(f"'{part}' in '{text}' is no option: write option=value")
        options[key.strip()] = value.strip()
    return Spec(text.strip(), name.strip(), argument if colon else None, options)


def _cut_options(text: str) -> tuple[str, str]:
    # A folder may have brackets in its name: an argument that exists is taken whole.
    argument = text.partition(":")[2]
    if (argument and Path(argument).exists()) or not set(text) & set("[]"):
        return text, ""
    depth = 0 if text.endswith("]") else len(text)
    for position in range(len(text) - 1, -1, -1):
        depth += (text[position] == "]") - (text[position] == "[")
        if depth == 0:
            return text[:position], text[position + 1 : -1]
    raise BenchError(f"brackets in '{text}' do not match")


_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def construct(found: type[Any], spec: Spec, options: dict[str, str], also: tuple[str, ...] = ()) -> Any:
    """Call the class ``found`` with the argument of ``spec`` and with ``options``.

    ``also`` names options that were taken elsewhere. Raises BenchError for an option or an argument that the class does
    not take, naming those it does.
    """
    parameters = inspect.signature(found).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    known = [name for name, p in parameters.items() if p.kind in _NAMED]
    known = [name for name in known if name != "argument"] + list(also)
    for option in options:
        if option not in known and not takes_any:
            listed = ", ".join(known) or "none"
            raise BenchError(f"'{spec.name}' has no option '{option}'{suggest(option, known)} (options: {listed})")
    lacking = [
        p.name for p in parameters.values() if p.default is p.empty and p.kind in _NAMED and p.name not in options
    ]
    if "argument" in lacking and spec.argument is None:
        raise BenchError(f"'{spec.name}' needs an argument: {spec.name}:SOMETHING")
    if lacking and lacking != ["argument"]:
        raise BenchError(f"'{spec.name}' needs the option '{lacking[-1]}': {spec.name}[{lacking[-1]}=VALUE]")
    if inspect.isabstract(found):
        raise BenchError(f"'{spec.text}' lacks {', '.join(sorted(found.__abstractmethods__))}: define them")
    if spec.argument is not None and "argument" not in parameters:
        raise BenchError(f"'{spec.name}' takes no argument ':{spec.argument}'")
    try:
        return found(**options) if spec.argument is None else found(spec.argument, **options)
    except (ValueError, TypeError) as error:
        raise BenchError(f"'{spec.text}': {error}") from error
