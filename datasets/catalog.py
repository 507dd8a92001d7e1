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
        "regions": Entry(
            ".datasets.coco:COCO_REGIONS", "photos of COCO val2017 with 2 to 4 large objects and no people"
        ),
        "faces": Entry(".datasets.faces:FACE_FOLDER", "photos of faces with captions, of a folder (--images DIR)"),
        "panoramas": Entry(".datasets.panoramas:PANORAMAS", "six prompts of landscapes, for wide pictures"),
        "pie-bench": Entry(".datasets.pie_bench:PIE_BENCH", "PIE-Bench: 700 pictures with edits (--images DIR)"),
        "scenes": Entry(
            ".datasets.scene_dataset:SCENES", "2,048 captions of drawn scenes, and other scenes to compare with"
        ),
        "scene-faces": Entry(
            ".datasets.scene_dataset:SCENE_FACES", "the same of drawn scenes that are faces: each has landmarks"
        ),
        "scene-edits": Entry(
            ".datasets.scene_edits:SCENE_EDITS", "512 edits of 256 drawn scenes, with the truth of before and after"
        ),
        "scene-regions": Entry(
            ".datasets.scene_regions:SCENE_REGIONS", "256 drawn scenes with a prompt and a mask for each object"
        ),
        "scene-panoramas": Entry(
            ".datasets.scene_panoramas:SCENE_PANORAMAS", "captions of drawn scenes that can go on to both sides"
        ),
        "scene-pictures": Entry(
            ".datasets.scene_pictures:SCENE_PICTURES", "2,048 drawn scenes as pictures to encode and decode"
        ),
        "prompts": Entry(".datasets.prompts:PROMPT_FILE", "prompts of a .txt, .csv, .tsv, .jsonl or .json file"),
        "skimage-photos": Entry(".datasets.photos:SKIMAGE_PHOTOS", "eight colour photos that ship with scikit-image"),
        "photos": Entry(".datasets.photos:PHOTO_FOLDER", "the photos of a folder (--images DIR)"),
    },
    group="t2ibench.datasets",
)
