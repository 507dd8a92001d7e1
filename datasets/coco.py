"""COCO as text-to-image papers use it: val2017 with one caption each, 30,000 captions of val2014, photos of objects.

Photos give conditions and pictures to edit, the instance annotations regions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import BenchError
from .captioned import CaptionedPhotos
from .coco_instances import PERSON, Instance, read_instances
from .dataset import Archive
from .images import fit_mask
from .keeping import digest, keep
from .photos import Photo
from .prompts import Prompt, read_prompts
from .request import Pixels, Region

HOST = "http://images.cocodataset.org"
"""Has no valid certificate for https; the digests stand in for it."""

# Sizes and digests agree between torchvision's dataset prototypes and several independent mirrors' lists.
CAPTIONS_2017 = Archive(
    f"{HOST}/annotations/annotations_trainval2017.zip",
    252_907_541,
    "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
    "annotations/captions_val2017.json",
)
INSTANCES_2017 = replace(CAPTIONS_2017, content="annotations/instances_val2017.json")
PHOTOS_2017 = Archive(
    f"{HOST}/zips/val2017.zip",
    815_585_330,
    "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
    "val2017",
    files=5_000,
)
LIST_30K = Archive(
    "https://raw.githubusercontent.com/rohitgandikota/erasing/3d10dd1b2df4ec4e74edcadac4200c7401585138/data/coco_30k.csv",
    2_460_030,
    "42c57b188c8f1f8a77cddfa11cde89e83fcbdd4dcd4fc6c840fb4e046d395383",
    "coco_30k.csv",
)
INSTANCES_2014 = Archive(
    f"{HOST}/annotations/annotations_trainval2014.zip",
    252_872_794,
    "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
    "annotations/instances_val2014.json",
)
PHOTOS_2014 = Archive(
    f"{HOST}/zips/val2014.zip",
    6_645_013_297,
    "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
    "val2014",
    files=40_504,
)

LEAST_REGION = 0.05
"""Share of the picture that an object must fill to become a region."""
MOST_REGIONS = 4
RASTERS = 1
"""To be raised with every change in how outlines become masks."""


@dataclass(frozen=True)
class Coco(CaptionedPhotos):
    """Captions of COCO photos, and the photos they are compared with."""

    name: str
    captions: Archive
    pictures: Archive
    count: int
    """Number of prompts."""
    instances: Archive

    @property
    def fetchable(self) -> tuple[Archive, ...]:
        """The captions first: they are enough to generate."""
        return self.captions, self.instances, self.pictures

    def photo(self, root: Path, prompt: Prompt) -> Path:
        path = self.pictures.place(root) / str(prompt.image)
        if not path.is_file():
            raise BenchError(
                f"{self.name}: no photo {path}: run 'bench fetch {self.name}' or point --data-root / T2IBENCH_DATA at a"
                " folder that holds it"
            )
        return path

    def regions(self, root: Path, prompt: Prompt, height: int, width: int) -> tuple[Region, ...]:
        """Return the objects of the prompt's photo that fill at least 5 % of the picture, the four largest.

        Each is an instance annotation, cut as the photo is, and named by its category; crowds are left out.
        """
        objects = self._instances(root).get(int(prompt.id), ())
        candidates = [each for each in objects if each.may_fill(LEAST_REGION, height, width)]
        shares = _shares(candidates, height, width)
        large = sorted((pair for pair in zip(shares, candidates, strict=True) if pair[0] >= LEAST_REGION), key=_share)
        return tuple(_region(each, height, width) for _, each in large[:MOST_REGIONS])

    def _instances(self, root: Path) -> dict[int, tuple[Instance, ...]]:
        path = self.instances.find(root)
        if path is None:
            wanted = Path(self.instances.folder) / Path(self.instances.content).name
            raise BenchError(
                f"{self.name}: no instance annotations in {root}: run 'bench fetch {self.name}' or point --data-root /"
                f" T2IBENCH_DATA at a folder that holds {wanted}"
            )
        return read_instances(path)

    def photos(self, root: Path) -> list[Photo]:
        """Return all photos of the reference, in order of image id; raises BenchError unless all are there."""
        folder = self.pictures.place(root)
        found = sorted(folder.glob("*.jpg")) if folder.is_dir() else []
        if len(found) != self.pictures.files:
            raise BenchError(
                f"{self.name}: {len(found):,} of {self.pictures.files:,} photos in {folder}:"
                f" run 'bench fetch {self.name}' or point --data-root / T2IBENCH_DATA at a folder that holds them"
            )
        return [Photo(path.stem, path) for path in found]

    def _captions_file(self, root: Path) -> Path:
        if found := self.captions.find(root):
            return found
        wanted = Path(self.captions.folder) / Path(self.captions.content).name
        raise BenchError(
            f"{self.name}: no captions in {root}: run 'bench fetch {self.name}' or point --data-root / T2IBENCH_DATA"
            f" at a folder that holds {wanted}"
        )

    def _counted(self, prompts: list[Prompt], path: Path) -> list[Prompt]:
        if len(prompts) != self.count:
            raise BenchError(f"{path}: {len(prompts):,} captioned photos, not {self.count:,}; {self._mend()}")
        return prompts

    def _mend(self) -> str:
        return f"remove the file and run 'bench fetch {self.name}'"


@dataclass(frozen=True)
class Coco5k(Coco):
    """The photos of val2017 with one caption each: the one of the lowest annotation id; ordered by image id."""

    def prompts(self, root: Path) -> list[Prompt]:
        """Return the captions; the id of a prompt is the image id in 12 digits, the stem of its photo."""
        path = self._captions_file(root)
        captions = self._first_captions(path)
        prompts = [Prompt(f"{image:012d}", captions[image], f"{image:012d}.jpg") for image in sorted(captions)]
        return self._counted(prompts, path)

    def _first_captions(self, path: Path) -> dict[int, str]:
        try:
            annotations = json.loads(path.read_bytes())["annotations"]
            ordered = sorted(annotations, key=lambda annotation: -int(annotation["id"]))
            return {int(annotation["image_id"]): _caption(annotation) for annotation in ordered}  # the lowest id stays
        except OSError as error:
            raise BenchError(f"{path}: {error.strerror}; check its permissions") from error
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise BenchError(f"{path}: not a COCO captions file ({reason}); {self._mend()}") from error


@dataclass(frozen=True)
class Coco30k(Coco):
    """30,000 photos of val2014 with one caption each, in the order of the list.

    Every image id comes once. The seeds of the list (``evaluation_seed``) belong to another generator and are not used.
    The reference is all of val2014, 40,504 photos.
    """

    def prompts(self, root: Path) -> list[Prompt]:
        """Return the captions; the id of a prompt is the image id in 12 digits, the end of its photo's stem."""
        path = self._captions_file(root)
        return self._counted([self._with_photo(prompt, path) for prompt in read_prompts(path)], path)

    def _with_photo(self, prompt: Prompt, path: Path) -> Prompt:
        if not (prompt.id.isascii() and prompt.id.isdigit()):
            raise BenchError(f"{path}: row {prompt.row}: image id '{prompt.id}' is not a number; {self._mend()}")
        image = f"{int(prompt.id):012d}"
        return replace(prompt, id=image, image=f"COCO_val2014_{image}.jpg")


@dataclass(frozen=True)
class CocoRegions(Coco5k):
    """The photos of val2017 whose objects MultiDiffusion's authors make pictures by (Bar-Tal et al. 2023, section 5.2).

    Photos with 2 to 4 objects that fill more than 5 % each, and without people. It is our reading of their rule that
    smaller objects may be there too: they belong to the background.
    """

    def prompts(self, root: Path) -> list[Prompt]:
        instances = self._instances(root)
        return [prompt for prompt in super().prompts(root) if _is_scene_of_objects(instances.get(int(prompt.id), ()))]

    def regions(self, root: Path, prompt: Prompt, height: int, width: int) -> tuple[Region, ...]:
        """Return the regions as ``coco5k`` does; none where the cut leaves fewer than two."""
        regions = super().regions(root, prompt, height, width)
        return regions if len(regions) >= LEAST_REGIONS else ()


LEAST_REGIONS = 2


def _is_scene_of_objects(instances: tuple[Instance, ...]) -> bool:
    large = sum(each.share > LEAST_REGION for each in instances if not each.crowd)
    return LEAST_REGIONS <= large <= MOST_REGIONS and all(each.category != PERSON for each in instances)


def _shares(instances: Sequence[Instance], height: int, width: int) -> list[float]:
    """Which share of the picture each fills, kept in the cache folder: a mask takes 17 ms to make."""
    if not instances:
        return []
    identity = [[each.digest for each in instances], height, width, RASTERS]
    shares = keep("regions", identity, lambda: np.array([fit_mask(i.mask(), height, width).mean() for i in instances]))
    return [float(share) for share in shares]


def _share(pair: tuple[float, Instance]) -> float:
    """To sort by, the largest first."""
    return -pair[0]


def _region(instance: Instance, height: int, width: int) -> Region:
    """The mask is made when it is needed: thousands of them would not fit into memory."""
    return Region(
        f"{'an' if instance.category[0] in 'aeiou' else 'a'} {instance.category}",
        Pixels(digest([instance.digest, height, width, RASTERS]), lambda: fit_mask(instance.mask(), height, width)),
    )


def _caption(annotation: dict[str, Any]) -> str:
    if text := str(annotation["caption"]).strip():
        return text
    raise ValueError(f"annotation {annotation['id']} has an empty caption")


COCO5K = Coco5k("coco5k", CAPTIONS_2017, PHOTOS_2017, 5_000, INSTANCES_2017)
COCO30K = Coco30k("coco30k", LIST_30K, PHOTOS_2014, 30_000, INSTANCES_2014)
COCO_REGIONS = CocoRegions("regions", CAPTIONS_2017, PHOTOS_2017, 5_000, INSTANCES_2017)
