"""Photos of faces with captions, in a folder of the user's: what plugins that keep to a face are measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.errors import BenchError
from .captioned import CaptionedPhotos
from .landmarks import find_landmarker, photo_landmarks
from .photos import Photo, folder_photos
from .prompts import Prompt, read_prompts

CAPTIONS = ("captions.csv", "captions.tsv", "captions.jsonl", "captions.txt")
SIDE = 512
"""Pixels that a photo is cut to before a face is looked for."""
_NAMED = 5
"""Photos without a face that are named, at most."""


@dataclass(frozen=True)
class FaceFolder(CaptionedPhotos):
    """Photos of a folder with a caption each, those in which MediaPipe finds a face.

    The captions are in one file beside the photos: a table or objects with a column of the texts and a column ``image``
    of file names (with or without suffix), or text with a line for each photo in the order of their names.
    """

    path: Path | None = None
    name = "faces"

    def at(self, folder: Path) -> FaceFolder:
        return replace(self, path=folder)

    def prompts(self, root: Path) -> list[Prompt]:
        """Return the captions of photos with a face (``root`` plays no part).

        Raises BenchError where no folder is named, for captions without a photo, where no photo has a face, and where
        the face landmarker's model is not at hand.
        """
        found = [prompt for prompt, has_face in self._captions() if has_face]
        if not found:
            raise BenchError(f"{self.path}: no face is found in any photo; give a folder of photos of faces")
        return found

    def notes(self, root: Path) -> list[str]:
        listed = self._captions()
        without = [str(prompt.image) for prompt, has_face in listed if not has_face]
        if not without:
            return []
        names = ", ".join(without[:_NAMED]) + (", …" if len(without) > _NAMED else "")
        return [f"{len(without):,} of {len(listed):,} photos are left out, for no face is found in them: {names}"]

    def photos(self, root: Path) -> list[Photo]:
        """Return the photos of the prompts, in their order, each once."""
        images = {str(prompt.image): self.photo(root, prompt) for prompt in self.prompts(root)}
        return [Photo(name, path) for name, path in images.items()]

    def photo(self, root: Path, prompt: Prompt) -> Path:
        return self._folder() / str(prompt.image)

    def _folder(self) -> Path:
        if self.path is None:
            raise BenchError(
                f"dataset 'faces' needs a folder of photos with a file {' or '.join(CAPTIONS)}:"
                " give it with --images DIR"
            )
        return self.path

    def _captions(self) -> list[tuple[Prompt, bool]]:
        """The captions, ``image`` being the photo's path below the folder, and whether it shows a face."""
        folder = self._folder()
        landmarker = find_landmarker("landmarks", self.weights)
        return [
            (prompt, photo_landmarks(folder / str(prompt.image), SIDE, SIDE, landmarker) is not None)
            for prompt in read_captions(folder)
        ]


FACE_FOLDER = FaceFolder()
"""Without a folder yet."""


def read_captions(folder: Path) -> list[Prompt]:
    """Return the captions of a folder's photos; ``image`` is the photo's path below the folder.

    Raises BenchError, naming the row, for captions without a photo.
    """
    photos = [photo.path.relative_to(folder).as_posix() for photo in folder_photos(folder)]
    file = _captions_file(folder)
    prompts = read_prompts(file)
    if all(prompt.image is None for prompt in prompts):
        return _in_order(prompts, photos, file)
    names = {name: name for name in photos} | {name.rpartition(".")[0]: name for name in photos}
    for prompt in prompts:
        if prompt.image not in names:
            raise BenchError(f"{file}: row {prompt.row}: no photo '{prompt.image}' in {folder}; mend or remove the row")
    return [replace(prompt, image=names[str(prompt.image)]) for prompt in prompts]


def _captions_file(folder: Path) -> Path:
    found = [folder / name for name in CAPTIONS if (folder / name).is_file()]
    if len(found) == 1:
        return found[0]
    problem = f"both {found[0].name} and {found[1].name} are there: keep one" if found else "no captions of the photos"
    raise BenchError(f"{folder}: {problem} ({' or '.join(CAPTIONS)})")


def _in_order(prompts: Sequence[Prompt], photos: Sequence[str], file: Path) -> list[Prompt]:
    if len(prompts) != len(photos):
        raise BenchError(
            f"{file}: {len(prompts):,} captions for {len(photos):,} photos: write one a line in the order of the"
            " photos' names, or a table with a column 'image'"
        )
    return [replace(prompt, image=photo) for prompt, photo in zip(prompts, photos, strict=True)]
