"""Parity once more with the official weights, which are fetched where they are not at hand."""

import hashlib
from collections.abc import Callable
from contextlib import suppress

import pytest

import parity_inception
from parity_pictures import clip_error
from t2ibench.core.weights import FoundWeights, KnownWeights, MissingWeights, WeightsFinder
from t2ibench.metrics.extractors.clip import ClipViTB32
from t2ibench.metrics.extractors.inception import WEIGHTS, Inception
from t2ibench.metrics.extractors.lpips import BACKBONES
from t2ibench.metrics.setup import Setup

pytestmark = pytest.mark.network

Official = Callable[[KnownWeights], FoundWeights]


@pytest.fixture(scope="module")
def finder() -> WeightsFinder:
    """Remembers what it fetched, and what it could not."""
    return WeightsFinder()


@pytest.fixture
def official(finder: WeightsFinder) -> Official:
    """Find or fetch a file; the test fails in one line that names the file where that cannot be done."""

    def find(known: KnownWeights) -> FoundWeights:
        with suppress(MissingWeights):
            return finder.find(known)
        pytest.fail(_reason(finder, known), pytrace=False)

    return find


def _reason(finder: WeightsFinder, known: KnownWeights) -> str:
    with pytest.raises(MissingWeights) as missing:
        finder.find(known)
    return f"MissingWeights: {missing.value}"


@pytest.mark.parametrize("known", [WEIGHTS, *BACKBONES.values()], ids=lambda known: known.name)
def test_official_files_have_their_digests(official: Official, known: KnownWeights):
    found = official(known)
    assert hashlib.sha256(found.path.read_bytes()).hexdigest().startswith(known.sha256)
    assert found.official


def test_the_identity_of_inception_has_the_official_digest(official: Official, finder: WeightsFinder):
    assert official(WEIGHTS).official
    network = Inception(Setup(weights=finder))
    assert network.identity == "inception-2015-12-05@6726825d:tf-bilinear:fp32"
    assert network.note is None


def test_inception_is_torch_fidelitys(official: Official):
    weights = official(WEIGHTS).path
    assert parity_inception.features_error(weights, "torch-fidelity") <= 1e-4
    assert parity_inception.fid_error(weights, "torch-fidelity") <= 1e-4


def test_clip_is_open_clips(official: Official, finder: WeightsFinder):
    """OpenAI's weights want QuickGELU, which open_clip gives them under this name; ours goes by their tag."""
    setup = Setup(weights=finder)
    assert official(ClipViTB32.weights(setup)).path.is_file()
    assert clip_error(ClipViTB32(setup), "ViT-B-32-quickgelu", "openai") <= 1e-5
