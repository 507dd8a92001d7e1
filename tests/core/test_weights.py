"""Finding weights in the documented order, and reading them without running what they hold."""

import hashlib
import pickle
import socket
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from safetensors.torch import save_file

from t2ibench.core import weights
from t2ibench.core.errors import BenchError
from t2ibench.core.weights import (
    KnownWeights,
    MissingWeights,
    WeightsFinder,
    cache_dir,
    load_tensors,
    tensors_digest,
)

CONTENT = b"weights"
KNOWN = KnownWeights(
    "thing",
    "thing-v1.pth",
    aliases=("other.pth", "folder/named.pth"),
    sha256=hashlib.sha256(CONTENT).hexdigest()[:8],
    url="https://example.invalid/thing-v1.pth",
    hub=("someone/thing", "thing.safetensors"),
    caches=("torch/hub/checkpoints/thing-v1.pth",),
)
TENSORS = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.tensor(1, dtype=torch.int64)}


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Every place where weights are looked for, empty and below ``tmp_path``."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("T2IBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("T2IBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_order_is_override_then_folder_then_caches(places, no_network):
    cached = put(places / "torch/hub/checkpoints/thing-v1.pth")
    assert WeightsFinder(offline=True).find(KNOWN) == (cached, True)
    alias = put(places / "weights/a/other.pth")
    assert WeightsFinder(offline=True).find(KNOWN) == (alias, True)
    named = put(places / "weights/z/thing-v1.pth", b"not the official ones")
    assert WeightsFinder(offline=True).find(KNOWN) == (named, False)
    own = put(places / "mine.pth")
    assert WeightsFinder({"thing": own}, offline=True).find(KNOWN) == (own, True)


def test_an_alias_with_a_folder_needs_the_folder(places):
    put(places / "weights/elsewhere/named.pth")
    with pytest.raises(MissingWeights):
        WeightsFinder(offline=True).find(KNOWN)
    inside = put(places / "weights/elsewhere/folder/named.pth")
    assert WeightsFinder(offline=True).find(KNOWN).path == inside


def test_without_a_published_digest_nothing_is_called_official(places):
    put(places / "weights/plain.pth")
    assert WeightsFinder(offline=True).find(KnownWeights("plain", "plain.pth")).official is None


def test_an_override_must_exist(tmp_path):
    with pytest.raises(BenchError, match=r"--weights thing=.*gone\.pth: no such file"):
        WeightsFinder({"thing": tmp_path / "gone.pth"}).find(KNOWN)


def test_offline_opens_no_socket_and_names_file_digest_source_and_place(no_network):
    with pytest.raises(MissingWeights) as caught:
        WeightsFinder(offline=True).find(KNOWN)
    for part in ("thing-v1.pth", KNOWN.sha256, KNOWN.url, "T2IBENCH_WEIGHTS", "--weights thing=FILE", "offline"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unreachable_server_is_asked_once_for_all_metrics(monkeypatch):
    calls = []

    def unreachable(*_, **__):
        calls.append(1)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    finder = WeightsFinder()
    for known in (KNOWN, KNOWN):
        with pytest.raises(MissingWeights, match="cannot be reached"):
            finder.find(known)
    assert len(calls) == 1


def test_hub_files_are_not_fetched_when_the_hub_is_set_offline(monkeypatch, no_network):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingWeights, match="HF_HUB_OFFLINE"):
        WeightsFinder().find(KnownWeights("hubbed", "x/model.safetensors", hub=("x/x", "model.safetensors")))


@pytest.fixture
def fake_hub(monkeypatch):
    """A hub that answers as told: a path to give, or an error to raise, by file name."""
    answers: dict[str, str | Exception] = {}

    def fetch(repository, name):
        if isinstance(answers[name], Exception):
            raise answers[name]
        return answers[name]

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(weights, "_probe", lambda url: None)
    return answers


HUBBED = KnownWeights("hubbed", "x/a.safetensors", hub=("x/x", "a.safetensors"), hub_fallbacks=("a.bin",))


def test_a_file_that_the_hub_lacks_falls_back_to_the_next(fake_hub):
    fake_hub |= {"a.safetensors": EntryNotFoundError("404"), "a.bin": "/hub/a.bin"}
    assert WeightsFinder().find(HUBBED) == (Path("/hub/a.bin"), True)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (EntryNotFoundError("404"), "holds none of a.safetensors, a.bin"),
        (LocalEntryNotFoundError("no connection"), "cannot be reached: no connection"),
        (RuntimeError("401: gated"), "the hub: 401: gated"),
    ],
)
def test_what_the_hub_refuses_is_said(fake_hub, error, message):
    fake_hub |= {"a.safetensors": error, "a.bin": error}
    with pytest.raises(MissingWeights, match=message):
        WeightsFinder().find(HUBBED)


def test_a_download_is_checked_and_kept(monkeypatch):
    def download(url, path, *, size=None, sha256=None, progress=None):
        assert (url, sha256) == (KNOWN.url, KNOWN.sha256)
        return put(path)

    monkeypatch.setattr(weights, "_probe", lambda url: None)
    monkeypatch.setattr(weights, "download", download)
    found = WeightsFinder().find(KNOWN)
    assert found == (cache_dir() / "weights/thing-v1.pth", True)
    assert WeightsFinder(offline=True).find(KNOWN) == found


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_tensors_and_their_digest_do_not_depend_on_the_file_format(tmp_path, suffix):
    path = tmp_path / f"file{suffix}"
    save_file(TENSORS, path) if suffix == ".safetensors" else torch.save({"state_dict": TENSORS}, path)
    loaded = load_tensors(path)
    assert torch.equal(loaded["b"], TENSORS["b"])
    assert tensors_digest(loaded) == tensors_digest(TENSORS)


def test_the_digest_sees_names_dtypes_shapes_and_values():
    tensor = torch.arange(6, dtype=torch.int32)
    others = [{"x": tensor + 1}, {"y": tensor}, {"x": tensor.reshape(2, 3)}, {"x": tensor.view(torch.float32)}]
    digests = {tensors_digest(tensors) for tensors in [{"x": tensor}, *others]}
    assert len(digests) == 5
    assert tensors_digest({"x": tensor.to(torch.bfloat16)})


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("touched-by-a-pickle"),)


@pytest.mark.parametrize("name", ["evil.pth", "evil.bin"])
def test_a_pickle_that_runs_code_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Evil()}, tmp_path / name)
    with pytest.raises(BenchError, match=rf"{name}' is a pickle that would run code"):
        load_tensors(tmp_path / name)
    assert not Path("touched-by-a-pickle").exists()


def broken_files():
    torch_file, safe = Path("t.pth"), Path("t.safetensors")
    yield torch_file, lambda data: data[: len(data) // 2], "truncated or broken"
    yield torch_file, lambda data: b"", "cannot read|broken"
    yield torch_file, lambda data: b"nonsense" * 9, "broken"
    yield safe, lambda data: data[: len(data) // 2], "truncated or broken"
    yield safe, lambda data: b"", "truncated or broken"
    yield safe, lambda data: pickle.dumps({"a": 1}, protocol=2), "pickle under another name"


@pytest.mark.parametrize(("name", "spoil", "message"), broken_files())
def test_broken_files_are_named(tmp_path, name, spoil, message):
    path = tmp_path / name
    save_file(TENSORS, path) if path.suffix == ".safetensors" else torch.save(TENSORS, path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BenchError, match=message) as caught:
        load_tensors(path)
    assert str(path) in str(caught.value)


def test_anything_but_named_tensors_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(BenchError, match="more than named tensors"):
        load_tensors(tmp_path / "list.pth")


def test_a_torchscript_program_is_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(1, 1)).save(str(tmp_path / "program.pt"))
    with pytest.raises(BenchError, match="TorchScript"):
        load_tensors(tmp_path / "program.pt")
