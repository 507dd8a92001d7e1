"""What a dataset is, and where datasets live on this machine."""

from __future__ import annotations

import os
from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ..core.errors import BenchError

if TYPE_CHECKING:
    from ..core.weights import WeightsFinder
    from .photos import Photo
    from .prompts import Prompt
    from .request import Pixels, Region


Drawing = Callable[[int, int], None]
"""Called with (pictures drawn, pictures to draw) while a dataset draws what it needs."""


@dataclass(frozen=True)
class Archive:
    """A zip, or one plain file, of an official host, and the part of it that is needed."""

    url: str
    size: int
    """Bytes."""
    sha256: str
    content: str
    """The needed part, as it is called in the zip: a file, or a folder of ``files`` files."""
    files: int = 1
    folder: str = "coco"
    """Where ``content`` is laid down, relative to the data root."""

    @property
    def filename(self) -> str:
        """Name of the file at its host."""
        return self.url.rpartition("/")[2]

    def place(self, root: Path) -> Path:
        """Where the content is laid down."""
        return root / self.folder / self.content

    def find(self, root: Path) -> Path | None:
        """Return the whole content below ``root``, in its place or without the folders it has in the zip, or None."""
        places = (self.place(root), root / self.folder / Path(self.content).name)
        return next((place for place in places if self.holds(place)), None)

    def holds(self, place: Path) -> bool:
        """Whether all of the content is at ``place``."""
        if self.files == 1:
            return place.is_file()
        return place.is_dir() and sum(1 for name in place.iterdir() if name.suffix == ".jpg") == self.files


class Dataset(ABC):
    """Prompts, photos, or both, by name; ``root`` is the data root that holds the files of all datasets."""

    name: str
    kind: Literal["prompts", "photos"]
    """What it is for: texts to make pictures of, or photos to encode and decode."""

    @property
    def fetchable(self) -> tuple[Archive, ...]:
        """What ``bench fetch`` can get."""
        return ()

    def at(self, folder: Path) -> Dataset | None:
        """Return this dataset with the photos of a folder of the user's (``--images``), or None where it has its own.

        It is not looked into yet.
        """
        return None

    def using(self, weights: WeightsFinder) -> Dataset:
        """Return this dataset, with what finds the models that its conditions are made by."""
        return self

    def notes(self, root: Path) -> list[str]:
        """Return what a reader of the results should know of the prompts: what was left out, and why."""
        return []

    def prompts(self, root: Path) -> list[Prompt]:
        """Return the prompts, in a fixed order; raises BenchError where they are not at hand."""
        raise BenchError(f"dataset '{self.name}' has no prompts; choose one of prompts, such as coco5k")

    def photos(self, root: Path) -> list[Photo]:
        """Return all photos, in a fixed order; raises BenchError where some are not at hand."""
        raise BenchError(f"dataset '{self.name}' has no photos; choose one of photos, such as skimage-photos")

    def reference(self, root: Path, n: int | None = None, progress: Drawing | None = None) -> list[Path]:
        """Return the pictures that a Fréchet distance is taken to, the first ``n`` or all of them.

        ``progress`` is told of pictures that have to be drawn first. Raises BenchError where some are missing.
        """
        return [photo.path for photo in self.photos(root)][:n]

    def condition(self, root: Path, prompt: Prompt, kind: str, height: int, width: int) -> Pixels | None:
        """Return a condition map of one of this dataset's prompts, or None where this one has none (no face in it).

        Raises BenchError where the dataset has no conditions of that kind, or they are not at hand.
        """
        raise BenchError(f"dataset '{self.name}' has no {kind} conditions")

    def regions(self, root: Path, prompt: Prompt, height: int, width: int) -> tuple[Region, ...]:
        """Return the regions of one of this dataset's prompts, empty where it has none; BenchError as ``condition``."""
        raise BenchError(f"dataset '{self.name}' has no regions")

    def background(self, prompt: Prompt) -> str | None:
        """Return the prompt of where no region is; None where that of the whole picture serves."""
        return None

    def kind_of(self, prompt: Prompt) -> str | None:
        """Return which kind of case one of this dataset's prompts is, where it tells them apart, in one word."""
        return None

    def asked(self, root: Path, prompt: Prompt, kind: str, height: int, width: int) -> Pixels | None:
        """Return what a picture of one of this dataset's prompts should show or keep, or None where nothing is asked.

        By kind: ``canny`` edges, bool (H, W); ``depth`` nearness, float (H, W); ``landmarks`` points of a face (k, 2);
        ``regions`` masks, bool (regions, H, W); ``objects`` masks with names, (things,) with the fields ``name`` and
        ``mask``; ``source`` the picture edited; ``edit`` where, bool (H, W);
        ``edited`` the true pictures before and after the edit, (2, H, W, 3).
        BenchError as ``condition``.
        """
        raise BenchError(f"dataset '{self.name}' does not know what its pictures should show as {kind}")

    def source(self, root: Path, prompt: Prompt, height: int, width: int) -> Source | None:
        """Return the picture that one of this dataset's prompts is an edit of, or None; BenchError as ``condition``."""
        raise BenchError(f"dataset '{self.name}' has no pictures to edit")


class Source(NamedTuple):
    """A picture to be edited."""

    picture: Pixels
    prompt: str
    """What it shows."""
    edit: Pixels | None = None
    """The mask of what is to change, true inside, where the dataset has one."""


def data_root(option: Path | None = None) -> Path:
    """Return the folder of named datasets: ``--data-root``, ``T2IBENCH_DATA``, or the platform's cache directory.

    It need not exist. Raises BenchError where it is a file.
    """
    named = option or os.environ.get("T2IBENCH_DATA")
    root = Path(named).expanduser() if named else _default_root()
    if root.exists() and not root.is_dir():
        raise BenchError(f"{root}: the data root is not a folder; point --data-root or T2IBENCH_DATA at one")
    return root


def _default_root() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("t2ibench") / "data"
