"""The zoo: checkpoints that ship with this package, named ``zoo:NAME`` wherever a checkpoint is taken."""

from __future__ import annotations

from pathlib import Path

from .errors import BenchError
from .registry import suggest

PREFIX = "zoo:"
FOLDER = Path(__file__).parents[1] / "zoo"
"""A folder for each checkpoint, in the layout of diffusers or transformers."""


def zoo_names() -> list[str]:
    """Return the names of all checkpoints of the zoo, sorted."""
    folders = (folder for folder in FOLDER.glob("*") if not folder.name.startswith("."))
    return sorted(folder.name for folder in folders if next(folder.rglob("*.safetensors"), None))


def zoo_checkpoint(name: str) -> Path:
    """Return the folder of the checkpoint called ``name``; BenchError for an unknown one."""
    known = zoo_names()
    if name not in known:
        listed = ", ".join(known) or "none: this installation lacks them"
        raise BenchError(f"the zoo has no checkpoint '{name}'{suggest(name, known)} (known: {listed})")
    return FOLDER / name


def zoo_file(name: str) -> Path | None:
    """Return the file ``name`` (``folder/file``) of the zoo, None where there is none."""
    return file if (file := FOLDER / name).is_file() else None
