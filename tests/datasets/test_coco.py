"""COCO captions: the first of each photo, and files that are not what their name says."""

import csv
import json
from dataclasses import replace

import pytest

from t2ibench.core.errors import BenchError
from t2ibench.datasets.coco import COCO5K, COCO30K
from t2ibench.datasets.prompts import Prompt

SMALL = replace(COCO5K, count=2, pictures=replace(COCO5K.pictures, files=2))
SMALL_30K = replace(COCO30K, count=2)


def annotation(number, image, caption):
    return {"id": number, "image_id": image, "caption": caption}


@pytest.fixture
def captions(tmp_path):
    def write(content, place="coco/captions_val2017.json"):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path

    return write


@pytest.mark.parametrize("place", ["coco/captions_val2017.json", "coco/annotations/captions_val2017.json"])
def test_the_lowest_annotation_id_of_each_photo_in_order_of_image_id(captions, place):
    listed = [
        annotation(5, 20, "b later"),
        annotation(3, 20, " b first\n"),
        annotation(4, 20, "b"),
        annotation(9, 10, "a"),
    ]
    assert SMALL.prompts(captions({"images": [], "annotations": listed}, place)) == [
        Prompt("000000000010", "a", "000000000010.jpg"),
        Prompt("000000000020", "b first", "000000000020.jpg"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a COCO captions file .* remove the file and run 'bench fetch coco5k'"),
        ([], "not a COCO captions file"),
        ({"images": []}, "not a COCO captions file .*annotations"),
        ({"annotations": [{"id": 1, "image_id": 1}]}, "not a COCO captions file .*caption"),
        ({"annotations": [annotation(7, 1, " ")]}, "annotation 7 has an empty caption"),
        ({"annotations": [annotation(1, 1, "a")]}, r"captions_val2017\.json: 1 captioned photos, not 2"),
    ],
)
def test_a_captions_file_that_is_none(captions, content, message):
    with pytest.raises(BenchError, match=message):
        SMALL.prompts(captions(content))


def test_missing_captions_say_how_to_get_them(tmp_path):
    with pytest.raises(BenchError) as caught:
        COCO5K.prompts(tmp_path)
    assert str(caught.value) == (
        f"coco5k: no captions in {tmp_path}: run 'bench fetch coco5k' or point --data-root / T2IBENCH_DATA"
        " at a folder that holds coco/captions_val2017.json"
    )


def test_the_reference_is_whole_or_refused(tmp_path):
    folder = tmp_path / "coco" / "val2017"
    with pytest.raises(BenchError, match=r"coco5k: 0 of 2 photos in .*val2017: run 'bench fetch coco5k'"):
        SMALL.reference(tmp_path)
    folder.mkdir(parents=True)
    for name in ("000000000020.jpg", "000000000010.jpg"):
        (folder / name).touch()
    assert [path.stem for path in SMALL.reference(tmp_path)] == ["000000000010", "000000000020"]
    (folder / "stray.jpg").touch()
    with pytest.raises(BenchError, match="3 of 2 photos"):
        SMALL.photos(tmp_path)


def write_list(root, images):
    (root / "coco").mkdir()
    with (root / "coco" / "coco_30k.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image_id", "source", "prompt", "evaluation_seed"])
        rows.writerows([image, "coco-30k", "a cat, ", 1] for image in images)
    return root


def test_list_of_30k_names_the_photos_of_val2014(tmp_path):
    assert SMALL_30K.prompts(write_list(tmp_path, ["000000000020", "10"])) == [
        Prompt("000000000020", "a cat,", "COCO_val2014_000000000020.jpg", 2),
        Prompt("000000000010", "a cat,", "COCO_val2014_000000000010.jpg", 3),
    ]


def test_list_of_30k_with_other_ids(tmp_path):
    with pytest.raises(BenchError, match="row 3: image id 'x' is not a number; remove the file"):
        SMALL_30K.prompts(write_list(tmp_path, ["1", "x"]))
