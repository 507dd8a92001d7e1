"""One pass for all metrics: values, identities, reasons, and nothing computed twice."""

import json
import re
import socket
import threading
import tracemalloc
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from t2ibench.core.errors import BenchError
from t2ibench.core.weights import WeightsFinder
from t2ibench.metrics.engine import Engine, MissingReference, Setup
from t2ibench.metrics.extractors import NETWORKS
from t2ibench.metrics.extractors.base import Network, TextExtractor
from t2ibench.metrics.extractors.inception import Inception
from t2ibench.metrics.features import feature_set
from t2ibench.metrics.frechet import frechet, frechet_distance, gaussian, moments, save_statistics
from t2ibench.metrics.inception_score import inception_score
from t2ibench.metrics.kernel import kernel_distance
from t2ibench.metrics.manifold import recall
from t2ibench.metrics.pairwise import psnr, ssim
from t2ibench.metrics.passes import ahead

NAMES = ["fid", "clip_score", "clip_score_vit_b_32_x100", "psnr", "ssim", "lpips"]
POOL3 = ["fid", "fid_infinity", "rfid", "kid", "inception_score", "precision", "recall", "density", "coverage"]
OFFLINE = WeightsFinder(offline=True)


class Stub(TextExtractor):
    """Means of four quarters as features; counts what it is asked."""

    label = "stub@1"
    preprocess = "quarters"
    seen: list[object] = []

    @classmethod
    def weights(cls, setup):
        return None

    def features(self, prepared):
        self.seen.extend(prepared)
        return np.array([[q.mean() for q in np.array_split(p, 4)] for p in prepared], np.float32)

    def texts(self, prompts):
        self.seen.extend(prompts)
        return np.array([[len(prompt), 1, 2, 3] for prompt in prompts], np.float32)

    def cut(self, prompts):
        return None

    def logits(self, features):
        return features[:, :3] / 10


class StubDistance(Network):
    label = "stub-net@2"

    @classmethod
    def weights(cls, setup):
        return None

    def distances(self, pictures, targets):
        return [float(np.abs(a - b.astype(float)).mean()) for a, b in zip(pictures, targets, strict=True)]


@pytest.fixture
def stubs(monkeypatch):
    """Stand-ins for all networks; returns what the extractors were given so far."""
    monkeypatch.setattr(Stub, "seen", [])
    monkeypatch.setattr(NETWORKS, "load", lambda target: StubDistance if "lpips" in target else Stub)
    return Stub.seen


@pytest.fixture
def samples(picture, sample):
    """Ten pictures of two sizes with prompts and targets."""
    sizes = [(40, 40)] * 7 + [(48, 36)] * 3
    pairs = [(picture(i, *size), picture(i + 50, *size)) for i, size in enumerate(sizes)]
    return [sample(f"p{i}", a, f"prompt {i % 4}", sample(f"t{i}", b)) for i, (a, b) in enumerate(pairs)]


@pytest.fixture
def reference(picture, sample):
    return [sample(f"r{i}", picture(i + 90, 40, 44)) for i in range(12)]


def test_all_metrics_in_one_pass(stubs, samples, reference):
    setup = Setup(batch_size=4, reference_transform="short40-crop40")
    values = Engine(setup).measure(samples, NAMES, reference)
    assert list(values) == NAMES
    assert all(value.reason is None and value.n == 10 for value in values.values())
    prompts = 2 * (4 + 4 + 2)  # of two CLIPs, by batches
    assert len(stubs) == 3 * 10 + len(reference) + prompts
    pairs = [(sample.load(), sample.target.load()) for sample in samples]
    assert values["psnr"].value == pytest.approx(np.mean([psnr(*pair) for pair in pairs]), rel=1e-12)
    assert values["ssim"].value == pytest.approx(np.mean([ssim(*pair) for pair in pairs]), rel=1e-12)
    assert values["clip_score_vit_b_32_x100"].value == pytest.approx(100 * values["clip_score"].value)
    assert values["fid"].interval is None  # below 20 pictures
    low, high = values["psnr"].interval
    assert low < values["psnr"].value < high


def test_the_pool3_family_in_one_pass(stubs, samples, reference):
    values = Engine(Setup(batch_size=4)).measure(samples, POOL3, reference)
    assert {name: value.reason for name, value in values.items() if value.reason} == {}
    assert len(stubs) == 10 + len(reference) + 10  # rFID's targets
    side = Stub(Setup())
    ours, theirs, targets = (
        feature_set(side.features([sample.load() for sample in group]), side)
        for group in (samples, reference, [sample.target for sample in samples])
    )
    assert values["fid"].value == pytest.approx(frechet(ours, theirs).value, rel=1e-9)
    assert values["rfid"].value == pytest.approx(frechet(ours, targets).value, rel=1e-9)
    assert values["kid"].value == pytest.approx(kernel_distance(ours, theirs).value, rel=1e-9)
    assert values["inception_score"].value == pytest.approx(inception_score(ours).value, rel=1e-9)
    assert values["recall"].value == recall(ours, theirs).value


def test_identities_of_the_pool3_family(stubs, samples, reference):
    setup = Setup(generated_transform="square40", reference_transform="short40-crop40")
    found = {name: value.identity for name, value in Engine(setup).measure(samples, POOL3, reference).items()}
    tail = "quarters:fp32:n10"
    both = f"gen=square40,ref=short40-crop40:{tail}:ref-"
    assert found["kid"].startswith(f"kid:stub@1:poly3-100x10-seed2020:{both}")
    assert found["precision"].startswith(f"precision:stub@1:k3:{both}")
    assert found["density"].startswith(f"density:stub@1:k5:{both}")
    assert found["rfid"].startswith(f"rfid:stub@1:gen=square40,ref=square40:{tail}:ref-")
    assert found["inception_score"] == f"inception_score:stub@1:splits10-seed2020:gen=square40:{tail}:v1"
    references = {name: identity.split(":ref-")[1] for name, identity in found.items() if ":ref-" in identity}
    assert len(set(references.values())) == 2 and references["rfid"] != references["fid"] == references["kid"]


def test_what_few_pictures_leave_of_the_pool3_family(stubs, samples, reference):
    values = Engine(Setup()).measure(samples[:4], POOL3, reference)
    reasons = {name: value.reason for name, value in values.items() if value.reason}
    assert "more pictures than the 4 features" in reasons["fid_infinity"]
    assert "at least 10 pictures" in reasons["inception_score"]
    assert all("more than 5 pictures" in reasons[name] for name in ("precision", "recall", "density", "coverage"))
    assert values["kid"].note == "subsets of 4, since there are no 1,000 pictures on each side"
    assert all(value.identity for value in values.values())


def test_a_statistics_file_serves_frechet_distances_only(stubs, samples, reference, tmp_path):
    features = Stub(Setup()).features([sample.load() for sample in reference])
    save_statistics(tmp_path / "reference.npz", moments(features))
    values = Engine(Setup()).measure(samples, POOL3, tmp_path / "reference.npz")
    lacking = {"kid", "precision", "recall", "density", "coverage"}
    assert {name for name, value in values.items() if value.value is None} == lacking
    assert all("needs reference pictures: a statistics file ('" in values[name].reason for name in lacking)


def test_statistics_of_another_width_are_an_error(stubs, samples, reference, tmp_path):
    np.savez(tmp_path / "wide.npz", mu=np.zeros(5), sigma=np.eye(5))
    with pytest.raises(BenchError, match="unlike width"):
        Engine(Setup()).measure(samples, ["fid"], tmp_path / "wide.npz")


def test_memory_does_not_grow_with_the_number_of_pictures(stubs, monkeypatch, sample, picture, reference):
    monkeypatch.setattr(Stub, "features", lambda self, prepared: np.stack([np.ravel(p)[:64] for p in prepared]))
    one = sample("one", picture(1))

    def peak(n: int) -> int:
        random = np.random.default_rng(n)
        many = [replace(one, key=str(i), load=partial(random.integers, 0, 256, (8, 8, 3), np.uint8)) for i in range(n)]
        tracemalloc.start()
        try:
            Engine(Setup(batch_size=250)).measure(many, ["fid"], [replace(r, load=many[0].load) for r in reference])
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(1_000), peak(30_000)
    print(f"1,000 pictures: {few / 2**20:.1f} MiB; 30,000: {many / 2**20:.1f} MiB")
    assert many < few + 2**22  # their keys are checked in a set; 64 features of 29,000 pictures are 7 MiB


def test_identities(stubs, samples, reference):
    setup = Setup(generated_transform="square40", reference_transform="short40-crop40")
    values = Engine(setup).measure(samples, NAMES, reference)
    fid = values["fid"].identity
    assert fid.startswith("fid:stub@1:gen=square40,ref=short40-crop40:quarters:fp32:n10:ref-")
    assert len(fid.split(":ref-")[1]) == len("12345678:v1")
    starts = {
        "clip_score": "clip_score:stub@1:cos:square40:quarters:fp32:n10:ref-",
        "psnr": "psnr:uint8:n10:ref-",
        "ssim": "ssim:gauss1.5-popcov:uint8:n10:ref-",
        "lpips": "lpips:stub-net@2:fp32:n10:ref-",
    }
    for name, start in starts.items():
        assert values[name].identity.startswith(start)
        assert values[name].identity.endswith(":v1")
    other = [replace(samples[0], prompt="another", target=samples[1]), *samples[1:]]
    changed = Engine(setup).measure(other, NAMES, reference)
    assert [name for name in starts if changed[name].identity == values[name].identity] == []


def test_the_reference_digest_depends_on_the_pictures_not_on_their_order(stubs, samples, reference):
    engine = Engine(Setup())
    one, same, other = (
        engine.measure(samples, ["fid"], side)["fid"] for side in (reference, reference[::-1], reference[1:])
    )
    assert one.identity == same.identity != other.identity
    assert one.value == same.value != other.value


def test_values_do_not_depend_on_the_batch_size(stubs, samples, reference):
    names = NAMES
    one, other = (Engine(Setup(batch_size=size)).measure(samples, names, reference) for size in (1, 7))
    for name in names:
        assert one[name].value == pytest.approx(other[name].value, rel=1e-9)


def test_a_second_engine_computes_nothing(stubs, samples, reference, tmp_path):
    setup = Setup(cache=tmp_path / "cache", batch_size=4)
    names = ["fid", "clip_score"]
    first = Engine(setup).measure(samples, names, reference)
    count = len(stubs)
    undecodable = [replace(sample, load=lambda: pytest.fail("decoded again")) for sample in samples]
    assert Engine(setup).measure(undecodable, names, reference) == first
    assert len(stubs) == count
    Engine(replace(setup, generated_transform="square16")).measure(samples, names, reference)
    assert len(stubs) == count + 2 * 10


def test_a_changed_picture_is_seen(stubs, samples, picture, sample, tmp_path):
    engine = Engine(Setup(cache=tmp_path))
    engine.measure(samples, ["clip_score"])
    count = len(stubs)
    engine.measure([*samples[1:], sample("p0", picture(99), "prompt 0")], ["clip_score"])
    assert len(stubs) == count + 1


def test_the_reference_is_measured_once_for_all_rows(stubs, samples, reference):
    engine = Engine(Setup())
    calls: list[tuple[int, int]] = []
    engine.measure(samples, ["fid"], reference, lambda *step: calls.append(step))
    assert calls[-1] == (22, 22)
    engine.measure(samples, ["fid"], reference, lambda *step: calls.append(step))
    assert calls[-1] == (10, 10)
    assert len(stubs) == 10 + 12 + 10


def test_a_statistics_file_as_reference(stubs, samples, reference, tmp_path):
    features = [Stub(Setup()).features([sample.load()])[0] for sample in (*samples, *reference)]
    ours, theirs = moments(np.stack(features[:10])), moments(np.stack(features[10:]))
    save_statistics(tmp_path / "reference.npz", theirs)
    value = Engine(Setup()).measure(samples, ["fid"], tmp_path / "reference.npz")["fid"]
    assert value.value == pytest.approx(frechet_distance(gaussian(ours), gaussian(theirs)))
    assert ":gen=as-is,ref=statistics:" in value.identity


def test_what_cannot_be_computed_has_a_reason(stubs, samples):
    bare = [replace(sample, prompt=None, target=None) for sample in samples]
    values = Engine(Setup()).measure(bare, NAMES, MissingReference("no photos of coco5k here"))
    assert {name: value.reason for name, value in values.items()} == {
        "fid": "no photos of coco5k here",
        "clip_score": "needs a prompt for every picture",
        "clip_score_vit_b_32_x100": "needs a prompt for every picture",
        "psnr": "needs a target for every picture",
        "ssim": "needs a target for every picture",
        "lpips": "needs a target for every picture",
    }
    assert all(value.value is None for value in values.values())
    assert not stubs


@pytest.mark.parametrize(
    ("count", "reference", "reason"),
    [(1, "pictures", "at least 2 pictures, not 1"), (0, "pictures", "not 0"), (3, None, "needs reference pictures")],
)
def test_too_little_for_fid(stubs, samples, reference, count, reason):
    value = Engine(Setup()).measure(samples[:count], ["fid"], reference and [*samples])["fid"]
    assert value.value is None
    assert reason in value.reason


def test_few_pictures_are_said_to_bias_fid(stubs, samples, reference):
    many = [replace(sample, key=f"{sample.key}-{i}") for i in range(2) for sample in samples]
    four, five, twenty = (Engine(Setup()).measure(many[:n], ["fid"], reference)["fid"].note for n in (4, 5, 20))
    assert "n = 4 is not above the 4 features" in four
    assert "n = 5 is below 5 times the 4 features" in five
    assert twenty is None


def test_missing_weights_are_a_reason_before_anything_is_made(monkeypatch, tmp_path, samples, reference):
    monkeypatch.delenv("T2IBENCH_WEIGHTS", raising=False)
    for name in ("HOME", "TORCH_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a socket was opened"))
    engine = Engine(Setup(weights=OFFLINE))
    reasons = engine.check(NAMES, has_prompts=True, has_targets=True, reference=reference)
    files = {
        "fid": "weights-inception-2015-12-05-6726825d.pth",
        "clip_score": "CLIP-ViT-g-14-laion2B-s34B-b88K/open_clip_model.safetensors",
        "clip_score_vit_b_32_x100": "vit_base_patch32_clip_224.openai/open_clip_model.safetensors",
        "lpips": "squeezenet1_1-b8a52dc0.pth",
    }
    assert reasons.keys() == files.keys()
    assert all(file in reasons[name] for name, file in files.items())
    values = engine.measure(samples, NAMES, reference)
    assert {name for name, value in values.items() if value.value is not None} == {"psnr", "ssim"}
    assert values["fid"].reason == reasons["fid"]


def test_identical_pictures_are_counted_and_left_out_of_psnr(samples):
    same = [replace(sample, target=sample) for sample in samples[:2]]
    value = Engine(Setup()).measure([*same, *samples[2:]], ["psnr"])["psnr"]
    expected = np.mean([psnr(sample.load(), sample.target.load()) for sample in samples[2:]])
    assert value.value == pytest.approx(expected)
    assert value.note.startswith("2 of 10 pictures are identical")
    assert value.per_image["p0"] == float("inf")
    assert json.loads(value.model_dump_json())["n"] == 10
    alone = Engine(Setup()).measure(same, ["psnr"])["psnr"]
    assert alone.value is None
    assert "all 2 pictures are identical" in alone.reason


def broken():
    raise BenchError("cannot read 'broken.png': it is truncated")


@pytest.mark.parametrize("name", ["clip_score", "psnr"])
def test_a_broken_picture_is_an_error_that_names_it(stubs, samples, name):
    samples[5] = replace(samples[5], load=broken)
    before = threading.active_count()
    with pytest.raises(BenchError, match=r"broken\.png"):
        Engine(Setup(batch_size=2)).measure(samples, [name])
    assert threading.active_count() == before


def test_a_target_of_another_size_is_an_error_that_names_both(samples, sample, picture):
    samples[3] = replace(samples[3], target=sample("photo 3", picture(1, 41, 40)))
    with pytest.raises(BenchError, match="'p3' is 40×40 and its target 'photo 3' 40×41"):
        Engine(Setup()).measure(samples, ["psnr"])


def test_pictures_too_small_for_a_metric_are_named(sample, picture):
    tiny = picture(1, 8, 8)
    with pytest.raises(BenchError, match=r"ssim of 'dot'.*11×11"):
        Engine(Setup()).measure([sample("dot", tiny, target=sample("t", tiny))], ["ssim"])


def test_features_that_are_not_finite_are_an_error(stubs, monkeypatch, samples):
    monkeypatch.setattr(Stub, "features", lambda self, prepared: np.full((len(prepared), 4), np.nan, np.float32))
    with pytest.raises(BenchError, match="stub@1 gives NaN or infinity for 'p0' in fp32"):
        Engine(Setup()).measure(samples, ["clip_score"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Engine(Setup()).measure([], ["fidd"]), "did you mean 'fid'"),
        (lambda: Engine(Setup(generated_transform="crop")), "unknown transform 'crop'"),
    ],
)
def test_wrong_names(make, message):
    with pytest.raises(BenchError, match=message):
        make()


def test_a_key_that_comes_twice_is_an_error(samples):
    with pytest.raises(BenchError, match="two pictures are called 'p0'"):
        Engine(Setup()).measure([*samples, samples[0]], ["psnr"])


def test_a_broken_cache_file_is_done_without_and_noted(stubs, samples, tmp_path):
    (tmp_path / "features.sqlite").write_text("this is no database, and long enough to be read as a page" * 99)
    value = Engine(Setup(cache=tmp_path)).measure(samples, ["clip_score"])["clip_score"]
    assert value.value == Engine(Setup()).measure(samples, ["clip_score"])["clip_score"].value
    assert re.search(r"features are not kept: .*features\.sqlite.*delete the file", value.note or "")


def test_ahead_keeps_order_and_its_bound():
    started: list[int] = []
    stream = ahead(range(10), lambda item: started.append(item) or item * 2, 2)
    assert next(stream) == 0
    assert len(started) <= 3
    assert list(stream) == list(range(2, 20, 2))


@pytest.mark.slow
def test_fid_end_to_end_with_random_inception_weights(one_thread, inception_file, samples, tmp_path):
    setup = Setup(weights=WeightsFinder({"inception": inception_file}, offline=True), cache=tmp_path, batch_size=4)
    value = Engine(setup).measure(samples[:4], ["fid"], samples[4:8])["fid"]
    extractor = Inception(setup)
    sides = [
        extractor.features([extractor.prepare(sample.load()) for sample in side])
        for side in (samples[:4], samples[4:8])
    ]
    expected = frechet_distance(*(gaussian(moments(side)) for side in sides))
    assert value.value == pytest.approx(expected, rel=1e-3)
    assert value.identity.startswith("fid:inception-unofficial@")
    assert "not the official ones; n = 4 is not above the 2048 features" in value.note
    again = Engine(setup)
    assert again.measure(samples[:4], ["fid"], samples[4:8])["fid"] == value
    assert "_network" not in vars(again.network("inception"))
