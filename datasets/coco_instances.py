"""COCO's instance annotations: the outline of every object of a photo."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import BenchError
from .keeping import digest

PERSON = "person"


@dataclass(frozen=True)
class Instance:
    """An object of a photo."""

    category: str
    height: int
    """Of the photo, in pixels; ``width`` too."""
    width: int
    share: float
    """Of the photo that it fills, 0 to 1, as annotated."""
    crowd: bool
    """Whether it is many objects in one; ``outline`` then is a run-length code."""
    outline: Any
    """Polygons, each (corners, 2) of x and y in pixels, or a run-length code: ``size`` and ``counts``."""

    @property
    def digest(self) -> str:
        """32 hex digits that change with the outline."""
        runs = isinstance(self.outline, dict)
        outline = [self.outline["counts"]] if runs else [each.tolist() for each in self.outline]
        return digest([self.height, self.width, *outline])

    def mask(self) -> NDArray[np.bool_]:
        """Return where the object is, (height, width)."""
        if isinstance(self.outline, dict):
            return decode_runs(self.outline["counts"], *self.outline["size"])
        return fill_polygons(self.outline, self.height, self.width)

    def may_fill(self, share: float, height: int, width: int) -> bool:
        """Whether it can fill ``share`` of the photo cut to a size (``images.fit``), to be known without its mask."""
        kept = min(self.height * width, self.width * height) ** 2 / (self.height * self.width * height * width)
        return not self.crowd and self.share >= 0.9 * share * kept  # rasterised masks are not quite of that size


def read_instances(path: Path) -> dict[int, tuple[Instance, ...]]:
    """Return the objects of each photo by image id; the file is read once per process.

    Raises BenchError, naming the file, where it is no file of instance annotations.
    """
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _read(path: Path, modified: int) -> dict[int, tuple[Instance, ...]]:
    try:
        content = json.loads(path.read_bytes(), object_hook=_compact)
        categories = {each["id"]: str(each["name"]) for each in content["categories"]}
        sizes = {each["id"]: (int(each["height"]), int(each["width"])) for each in content["images"]}
        found: dict[int, list[Instance]] = {}
        for each in content["annotations"]:
            instance = _instance(each, categories, *sizes[each["image_id"]])
            found.setdefault(int(each["image_id"]), []).append(instance)
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror}; check its permissions") from error
    except (KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise BenchError(f"{path}: not a COCO file of instances ({reason}); remove it and fetch it again") from error
    return {image: tuple(instances) for image, instances in found.items()}


def _compact(item: dict[str, Any]) -> dict[str, Any]:
    """Turn polygons into arrays while the file is read: as lists of numbers those of val2014 take a gigabyte."""
    if isinstance(item.get("segmentation"), list):
        item["segmentation"] = [np.array(each, np.float32).reshape(-1, 2) for each in item["segmentation"]]
    return item


def _instance(annotation: dict[str, Any], categories: dict[int, str], height: int, width: int) -> Instance:
    outline = annotation["segmentation"]
    if isinstance(outline, dict) and list(outline["size"]) != [height, width]:
        raise ValueError(f"annotation {annotation.get('id')} is of size {outline['size']}, its photo {height}×{width}")
    share = float(annotation["area"]) / (height * width)
    category = categories[annotation["category_id"]]
    return Instance(category, height, width, share, bool(annotation.get("iscrowd", 0)), outline)


def fill_polygons(polygons: Iterable[NDArray[np.float32]], height: int, width: int) -> NDArray[np.bool_]:
    """Return a mask (height, width) of the pixels whose middle is in any of the polygons.

    COCO measures from the corner of a pixel. OpenCV's filling would add half a pixel all round.
    """
    from skimage.draw import polygon as inside

    mask = np.zeros((height, width), bool)
    for corners in polygons:
        mask[inside(corners[:, 1] - 0.5, corners[:, 0] - 0.5, mask.shape)] = True
    return mask


def decode_runs(counts: str | Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    """Return the mask (height, width) of a run-length code: lengths of runs, outside first, down the columns.

    Text is COCO's compressed form of them. Raises BenchError where they do not fill the mask.
    """
    runs = _decompress(counts) if isinstance(counts, str) else list(counts)
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise BenchError(f"a run-length code of {sum(runs):,} pixels does not fit a mask of {width}×{height}")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape((height, width), order="F")


def _decompress(text: str) -> list[int]:
    """COCO's text: numbers in groups of 5 bits, least first, 32 marks that more follow, 48 added to be printable.

    The last group's highest bit is the sign; from the fourth on, numbers are differences to the last but one.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - 48
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs
