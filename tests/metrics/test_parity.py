"""Each row of docs/parity.md holds, and the page has each row."""

from pathlib import Path

import numpy as np
import pytest

import parity_inception
from made import Files
from parity_page import ROWS, Row

pytestmark = pytest.mark.usefixtures("one_thread")

PAGE = Path(__file__).parents[2] / "docs" / "parity.md"


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_parity(files: Files, row: Row):
    assert row.measure(files) <= row.tolerance


def test_the_committed_page_has_every_row_and_no_other():
    rows = [line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if "`test_parity[" in line]
    listed = [(tool.removeprefix("| "), compared, test) for tool, _, compared, *_, test in rows]
    expected = [(row.tool, row.compared, f"`test_parity[{row.key}]` |") for row in ROWS]
    assert listed == expected, "run: python tests/metrics/parity_page.py > docs/parity.md"


@pytest.mark.slow
def test_the_resizes_are_far_apart(files: Files):
    """A tolerance means something only where the rows differ by more."""
    largest = parity_inception.SIZES.index((512, 384))
    values = [parity_inception.features(files.inception, tool).theirs[0][largest] for tool in parity_inception.TOOLS]
    gaps = [np.linalg.norm(a - b) / np.linalg.norm(a) for i, a in enumerate(values) for b in values[:i]]
    assert min(gaps) > 1e-3
