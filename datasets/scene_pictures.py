"""Drawn scenes as pictures to encode and decode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .dataset import Dataset
from .photos import Photo
from .scene_dataset import SCENES


@dataclass(frozen=True)
class ScenePictures(Dataset):
    """The pictures of the scenes that ``Scenes`` has for its reference; no model has been trained on them."""

    name = "scene-pictures"
    kind = "photos"

    def photos(self, root: Path) -> list[Photo]:
        """Return the pictures, drawn into the cache folder when they are first asked for (``root`` plays no part)."""
        return [Photo(path.stem, path) for path in SCENES.reference(root)]


SCENE_PICTURES = ScenePictures()
