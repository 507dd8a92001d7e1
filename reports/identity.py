"""Which numbers may stand in one column: the rule on metric identities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_COUNT = re.compile(r"n\d+")


class Identity(NamedTuple):
    """A metric identity in its three parts."""

    quantity: str
    """Metric, extractor, weights, transform, dtype, version: all that makes it this quantity and no other."""
    size: str
    """``n5000``: how many pictures."""
    reference: str
    """``ref-9f3c…``: what they were compared with."""


def parse(identity: str) -> Identity:
    """Take apart ``fid:inception-2015-12-05@6726825d:tf-bilinear:fp32:n5000:ref-9f3c``; an absent part is empty."""
    parts = identity.split(":")
    counts = [part for part in parts if _COUNT.fullmatch(part)]
    references = [part for part in parts if part.startswith("ref-")]
    rest = [part for part in parts if part not in counts and part not in references]
    return Identity(":".join(rest), ":".join(counts), ":".join(references))


def mismatch(identities: Mapping[str, str]) -> str | None:
    """Say why the numbers of these rows (row name to identity) are not one quantity; None where they are.

    The first of these that differs is named: the quantity itself, the number of pictures, the reference. Another number
    of pictures also means other references, so the last says something only at equal n.
    """
    parsed = {row: parse(identity) for row, identity in identities.items()}
    for part, says in _SAYS.items():
        groups = _groups((row, getattr(identity, part)) for row, identity in parsed.items())
        if len(groups) > 1:
            return f"{says}: " + "; ".join(f"{value or 'none'} ({', '.join(rows)})" for value, rows in groups.items())
    return None


_SAYS = {
    "quantity": "Not one quantity, so these rows cannot be compared",
    "size": "From different numbers of pictures, so compare with care",
    "reference": "Measured against different references, so these rows cannot be compared",
}


def _groups(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for row, value in pairs:
        groups.setdefault(value, []).append(row)
    return groups
