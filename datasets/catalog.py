"""The datasets by name."""

from __future__ import annotations

from ..core.registry import Entry, Registry
from .dataset import Dataset

DATASETS: Registry[Dataset] = Registry(
    kind="dataset",
    base=".datasets.dataset:Dataset",
    entries={
        "coco5k": Entry(".datasets.coco:COCO5K", "COCO val2017: 5,000 photos, the first caption of each"),
        "coco30k": Entry(".datasets.coco:COCO30K", "30,000 captions of COCO val2014, from a public list"),
        "scenes": Entry(
            ".datasets.scene_dataset:SCENES", "2,048 captions of drawn scenes, and other scenes to compare with"
        ),
        "prompts": Entry(".datasets.prompts:PROMPT_FILE", "prompts of a .txt, .csv, .tsv, .jsonl or .json file"),
        "skimage-photos": Entry(".datasets.photos:SKIMAGE_PHOTOS", "eight colour photos that ship with scikit-image"),
        "photos": Entry(".datasets.photos:PHOTO_FOLDER", "the photos of a folder (--images DIR)"),
    },
    group="t2ibench.datasets",
)
