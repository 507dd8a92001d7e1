"""Finding weight files: by option, by name in ``T2IBENCH_WEIGHTS``, in the caches of their libraries, from their source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from .errors import BenchError


class MissingWeights(BenchError):
    """A weights file is not at hand; the text names the file, its digest, and how to get it or where to put it."""


@dataclass(frozen=True)
class KnownWeights:
    """A weights file that some extractor or codec needs."""

    name: str
    """As in ``--weights NAME=FILE``: ``inception``, ``lpips-squeeze``, ``taef2-decoder``."""
    filename: str
    """The official file name."""
    aliases: tuple[str, ...] = ()
    """Other file names, or ``folder/file`` ends of paths, under which it is found."""
    sha256: str = ""
    """Digest of the official file, or the prefix that is known; empty where none is published."""
    url: str | None = None
    """Where it can be downloaded; None where it cannot be by a plain download."""
    hub: tuple[str, str] | None = None
    """(repository id, file name) on the Hugging Face hub."""
    caches: tuple[str, ...] = ()
    """Glob patterns below the user's cache directory where libraries keep it (``torch/hub/checkpoints/...``)."""


class FoundWeights(NamedTuple):
    """Where a weights file was found, and whether it is the official one by its digest (None where none is known)."""

    path: Path
    official: bool | None


@dataclass(frozen=True)
class WeightsFinder:
    """Looks weights up in the order of the documentation."""

    overrides: Mapping[str, Path] = field(default_factory=dict)
    """``--weights NAME=FILE``."""
    offline: bool = False

    def find(self, known: KnownWeights) -> FoundWeights:
        """Return the file: override, then ``T2IBENCH_WEIGHTS`` and its subfolders, then caches, then (not offline) fetched.

        Raises MissingWeights where it is nowhere, BenchError where an override does not exist.
        """
        raise NotImplementedError  # written by the metrics piece
