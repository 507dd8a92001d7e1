"""Photos of a folder, and the ones that ship with scikit-image."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ..core.errors import BenchError
from .dataset import Dataset


@dataclass(frozen=True)
class Photo:
    """A photo in a file; ``id`` is unique within its dataset."""

    id: str
    path: Path


def folder_photos(folder: Path) -> list[Photo]:
    """Return the photos of a folder, sorted; the id is the path below the folder without its suffix.

    Raises BenchError where there are none, or where two differ in nothing but their suffix.
    """
    from .images import image_files

    photos: dict[str, Photo] = {}
    for path in image_files(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in photos:
            raise BenchError(f"{path}: differs only by its suffix from {photos[name].path.name}; rename one of them")
        photos[name] = Photo(name, path)
    return list(photos.values())


@dataclass(frozen=True)
class PhotoFolder(Dataset):
    """Photos of a folder of the user's."""

    path: Path | None = None
    name = "photos"
    kind = "photos"

    def at(self, folder: Path) -> Dataset:
        return PhotoFolder(folder)

    def photos(self, root: Path) -> list[Photo]:
        """List the folder (``root`` plays no part); raises BenchError where none is named or it holds no photos."""
        if self.path is None:
            raise BenchError("dataset 'photos' needs a folder and none is named; give one with --images DIR")
        return folder_photos(self.path)


@dataclass(frozen=True)
class SkimagePhotos(Dataset):
    """The colour photos inside the scikit-image package: eight pictures of many kinds, at hand everywhere."""

    name = "skimage-photos"
    kind = "photos"

    def at(self, folder: Path) -> Dataset:
        return PhotoFolder(folder)

    def photos(self, root: Path) -> list[Photo]:
        """Find the files in the installed package (``root`` plays no part); raises BenchError where one is missing."""
        paths = [_skimage_data() / name for name in SKIMAGE_FILES]
        for path in paths:
            if not path.is_file():
                raise BenchError(
                    f"{path}: missing from scikit-image; install it anew (pip install --force-reinstall scikit-image)"
                )
        return [Photo(path.stem, path) for path in paths]


SKIMAGE_FILES = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)


def _skimage_data() -> Path:
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise BenchError("scikit-image is not installed; its photos come with it (pip install scikit-image)")
    return Path(spec.origin).parent / "data"


SKIMAGE_PHOTOS = SkimagePhotos()
PHOTO_FOLDER = PhotoFolder()
"""Without a folder yet: ``PhotoFolder(path)`` has one."""
