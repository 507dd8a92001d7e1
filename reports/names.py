"""Names of methods as plots and captions have room for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def short_names(methods: Iterable[str]) -> dict[str, str]:
    """Keep of each name only what tells it from the others: ``sd15[steps=8]`` of ``sd15[checkpoint=X,steps=8]``.

    No two names become one: where they would, both stay whole.
    """
    parsed = {method: _options(method) for method in methods}
    alike: dict[str, dict[str, Sequence[str]]] = {}
    for method, (bare, options) in parsed.items():
        alike.setdefault(bare, {})[method] = options
    short = {method: name for bare, group in alike.items() for method, name in _named(bare, group).items()}
    found = [short[method] for method in parsed]
    return {method: short[method] if found.count(short[method]) == 1 else method for method in parsed}


def _named(bare: str, group: dict[str, Sequence[str]]) -> dict[str, str]:
    """With as few options as tell the methods of one bare name apart."""
    telling = {
        method: [option for option in options if not all(option in others for others in group.values())]
        for method, options in group.items()
    }
    names: dict[str, str] = {}
    for count in range(max(map(len, telling.values())) + 1):
        names = {method: _joined(bare, options[:count]) for method, options in telling.items()}
        if len(set(names.values())) == len(names):
            break
    return names


def _joined(bare: str, options: Sequence[str]) -> str:
    return f"{bare}[{','.join(options)}]" if options else bare


def _options(method: str) -> tuple[str, list[str]]:
    """The name and its options; commas within inner brackets belong to an option."""
    bare, bracket, inner = method.partition("[")
    if not bracket or not inner.endswith("]"):
        return method, []
    options, depth = [""], 0
    for char in inner[:-1]:
        depth += (char == "[") - (char == "]")
        if char == "," and depth == 0:
            options.append("")
        else:
            options[-1] += char
    return bare, options
