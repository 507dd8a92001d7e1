"""The generated page of metrics."""

from pathlib import Path

import pytest

from t2ibench.metrics import METRICS
from t2ibench.metrics.page import WITH_FUNCTIONS, example, page

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_committed_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m t2ibench.metrics.page > docs/metrics.md"


def test_every_metric_has_a_line_a_definition_with_a_paper_and_an_identity():
    text = page()
    for name in METRICS.entries:
        assert f"| `{name}` |" in text
        assert f"- **`{name}`**: " in text
        assert f"`{name}:" in text
    for family in text.split("\n### ")[1:]:
        assert " et al." in family or " & " in family, f"no paper in {family.splitlines()[0]}"


def test_functions_without_a_key_are_there():
    for name in ("edge_ssim()", "structure_distance()", "square_crops()"):
        assert f"- **`{name}`**: Return " in page()
    assert {f"### {name}" for name in WITH_FUNCTIONS} <= set(page().splitlines())


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("fid", "fid:inception@WEIGHTS:gen=as-is,ref=as-is:tf-bilinear:fp32:n5000:ref-9f3c12ab:v1"),
        ("ssim", "ssim:gauss1.5-popcov:uint8:n5000:ref-9f3c12ab:v1"),
        ("lpips_vgg", "lpips_vgg:lpips-vgg@WEIGHTS:fp32:n5000:ref-9f3c12ab:v1"),
        (
            "hps_v2_1",
            "hps_v2_1:hps-v2.1@WEIGHTS:cos-x100:as-is:open_clip-preprocess-longest:fp32:n5000:ref-9f3c12ab:v1",
        ),
    ],
)
def test_examples_of_identities(name, identity):
    assert example(METRICS.get(name)) == identity
