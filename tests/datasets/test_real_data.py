"""The public files themselves, where ``T2IBENCH_DATA`` has them."""

import os
from pathlib import Path

import pytest

from t2ibench.core.errors import BenchError
from t2ibench.core.files import mismatch
from t2ibench.datasets.catalog import DATASETS
from t2ibench.datasets.fetch import fetch
from t2ibench.datasets.images import image_files, load_rgb
from t2ibench.datasets.prompts import Prompt, read_prompts

pytestmark = pytest.mark.data


@pytest.fixture
def root():
    return Path(os.environ["T2IBENCH_DATA"])


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("prompts/PartiPrompts.tsv", 1632, "bond", "a series of musical notes on a computer screen"),
        ("prompts/drawbench.csv", 200, "A red colored car.", None),
        ("prompts/geneval_metadata.jsonl", 553, "a photo of a bench", None),
        ("coco/mlperf_captions_source.tsv", 5000, "A city at night with people walking around.", None),
    ],
)
def test_public_prompt_lists(root, name, count, first, last):
    prompts = read_prompts(root / name)
    assert (len(prompts), prompts[0].text, prompts[-1].text) == (count, first, last or prompts[-1].text)


def test_quotes_of_the_public_lists(root):
    parti = read_prompts(root / "prompts/PartiPrompts.tsv")
    assert any(prompt.text.startswith('"G I G G L E" painted in thick') for prompt in parti)
    mlperf = {prompt.id: prompt for prompt in read_prompts(root / "coco/mlperf_captions_source.tsv")}
    assert mlperf["225783"].text == 'Two dogs on a truck with frame that reads "cockleburs galore."'
    assert mlperf["225783"].image == "COCO_val2014_000000382717.jpg"


def test_coco5k(root):
    prompts = DATASETS.get("coco5k").prompts(root)
    assert len(prompts) == 5000
    assert prompts[0] == Prompt("000000000139", "A woman stands in the dining area at the table.", "000000000139.jpg")
    assert [prompt.id for prompt in prompts] == sorted({prompt.id for prompt in prompts})


def test_coco30k(root):
    prompts = DATASETS.get("coco30k").prompts(root)
    assert len({prompt.id for prompt in prompts}) == 30000
    assert prompts[0].image == "COCO_val2014_000000203564.jpg"
    assert prompts[0].text == "A bicycle replica with a clock as the front wheel."


def test_the_list_is_the_one_that_fetch_expects(root, tmp_path):
    archive = DATASETS.get("coco30k").fetchable[0]
    assert mismatch(root / "coco/coco_30k.csv", archive.size, archive.sha256) is None
    assert fetch("coco30k", tmp_path, from_dir=root) == [tmp_path / "coco/coco_30k.csv"]


def test_assorted_photos_are_not_taken_for_the_reference(root):
    with pytest.raises(BenchError, match="of 5,000 photos in"):
        DATASETS.get("coco5k").reference(root)


@pytest.mark.parametrize(("name", "count"), [("kodak", 12), ("coco/images", 118), ("faces", 2)])
def test_photo_folders_decode(root, name, count):
    files = image_files(root / name)
    assert len(files) == count
    assert load_rgb(files[0]).shape[2] == 3
