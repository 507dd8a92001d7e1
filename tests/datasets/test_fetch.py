"""Fetching: from a server on this machine in the place of the official host, and from folders."""

import hashlib
import json
import threading
import zipfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from t2ibench.core.errors import BenchError
from t2ibench.datasets import fetch as fetching
from t2ibench.datasets.coco import COCO5K, COCO30K
from t2ibench.datasets.dataset import Archive
from t2ibench.datasets.fetch import fetch, missing

CAPTIONS = json.dumps({"annotations": [{"id": n, "image_id": n, "caption": f"photo {n}"} for n in (1, 2)]})
PHOTOS = {f"val2017/{n:012d}.jpg": f"pixels {n}" for n in (1, 2)}
INSTANCES = "{}"
LIST = "image_id,prompt\n1,a\n2,b\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("val2017")
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def described(archive, path, address):
    content = path.read_bytes()
    files = 2 if archive.files > 1 else 1
    sha256 = hashlib.sha256(content).hexdigest()
    return replace(archive, url=f"{address}/{path.name}", size=len(content), sha256=sha256, files=files)


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A folder of small archives behind a server; the datasets point to it."""
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "host"
    folder.mkdir()
    photos = zipped(folder / "val2017.zip", PHOTOS)
    extra = {"annotations/captions_train2017.json": "{}", "../evil.txt": "x", "/evil.txt": "x"}
    texts = {"annotations/captions_val2017.json": CAPTIONS, "annotations/instances_val2017.json": INSTANCES}
    captions = zipped(folder / "annotations.zip", texts | extra)
    (folder / "coco_30k.csv").write_text(LIST)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        small = replace(
            COCO5K,
            count=2,
            captions=described(COCO5K.captions, captions, url),
            instances=described(COCO5K.instances, captions, url),
            pictures=described(COCO5K.pictures, photos, url),
        )
        listed = replace(
            COCO30K,
            count=2,
            captions=described(COCO30K.captions, folder / "coco_30k.csv", url),
            pictures=small.pictures,
            instances=small.instances,
        )
        monkeypatch.setattr("t2ibench.datasets.coco.COCO5K", small)
        monkeypatch.setattr("t2ibench.datasets.coco.COCO30K", listed)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield folder
        server.shutdown()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data" / "root"


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


TEXTS = ["coco/annotations/captions_val2017.json", "coco/annotations/instances_val2017.json"]
WHOLE = [*TEXTS, "coco/val2017/000000000001.jpg", "coco/val2017/000000000002.jpg"]


def test_downloads_and_unpacks_what_is_needed_and_nothing_else(host, root, tmp_path):
    steps = []
    places = fetch("coco5k", root, progress=lambda done, total: steps.append((done, total)))
    assert places == [*(root / text for text in TEXTS), root / "coco/val2017"]
    assert files_below(root) == WHOLE
    assert (root / WHOLE[2]).read_text() == "pixels 1"
    assert steps[-2:] == [(8, 16), (16, 16)]
    assert (host / "val2017.zip").stat().st_size in {done for done, _ in steps}
    assert not list(tmp_path.rglob("evil.txt"))
    dataset = fetching.DATASETS.get("coco5k")
    assert [prompt.text for prompt in dataset.prompts(root)] == ["photo 1", "photo 2"]
    assert len(dataset.reference(root)) == 2


def test_what_is_there_is_not_fetched_again(host, root):
    fetch("coco5k", root)
    for path in host.iterdir():
        path.unlink()
    assert len(fetch("coco5k", root)) == 3
    assert len(fetch("coco5k", root, offline=True)) == 3


def test_an_unpacking_that_was_killed_is_gone_on_with(host, root):
    fetch("coco5k", root)
    (root / WHOLE[2]).unlink()
    (root / WHOLE[3]).write_text("half")
    fetch("coco5k", root)
    assert [(root / path).read_text() for path in WHOLE[2:]] == ["pixels 1", "pixels 2"]


def test_a_plain_list_goes_to_its_place(host, root):
    fetch("coco30k", root)
    assert (root / "coco/coco_30k.csv").read_text() == LIST


def test_from_a_folder_of_archives(host, root):
    assert len(fetch("coco5k", root, from_dir=host)) == 3
    assert files_below(root) == WHOLE
    assert (host / "val2017.zip").exists()


@pytest.mark.parametrize("shape", ["", "coco"])
def test_from_a_folder_of_unpacked_files(host, root, tmp_path, shape):
    source = tmp_path / "source" / shape
    texts = {"captions_val2017.json": CAPTIONS, "instances_val2017.json": INSTANCES}
    for name, content in {**texts, **PHOTOS}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(content)
    fetch("coco5k", root, from_dir=tmp_path / "source", offline=True)
    assert files_below(root) == WHOLE


def test_captions_alone_are_taken_and_the_rest_reported_missing(host, root, tmp_path):
    (tmp_path / "captions_val2017.json").write_text(CAPTIONS)
    assert fetch("coco5k", root, from_dir=tmp_path) == [root / "coco/annotations/captions_val2017.json"]
    lacking = missing(fetching.DATASETS.get("coco5k"), root)
    assert [archive.content for archive in lacking] == ["annotations/instances_val2017.json", "val2017"]


def test_an_archive_of_two_parts_is_downloaded_once(host, root, monkeypatch):
    asked = []

    def download(url, path, **options):
        asked.append(url.rpartition("/")[2])
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((host / asked[-1]).read_bytes())

    monkeypatch.setattr(fetching, "download", download)
    fetch("coco5k", root)
    assert asked == ["annotations.zip", "annotations.zip", "val2017.zip"]
    assert files_below(root) == WHOLE


def test_a_damaged_archive_in_a_folder(host, root):
    (host / "val2017.zip").write_bytes(b"x")
    with pytest.raises(BenchError, match=r"val2017\.zip: is 1 bytes, not .* get it again from http"):
        fetch("coco5k", root, from_dir=host)


def test_another_list_in_a_folder(host, root):
    (host / "coco_30k.csv").write_text(LIST.replace("a", "b"))
    with pytest.raises(BenchError, match=r"coco_30k\.csv: has sha256 .* not the published list"):
        fetch("coco30k", root, from_dir=host)


def test_an_archive_without_the_needed_files(host, root, tmp_path):
    path = zipped(tmp_path / "x.zip", {"val2017/a.jpg": "1", "elsewhere/b.jpg": "2", "val2017/sub/c.jpg": "3"})
    archive = Archive("http://host/x.zip", 0, "", "val2017", files=2)
    with pytest.raises(BenchError, match="has 1 files of val2017, not 2"):
        fetching._unpack(path, archive, root, None)
    path.write_bytes(b"no zip")
    with pytest.raises(BenchError, match=r"x\.zip: damaged"):
        fetching._unpack(path, archive, root, None)


def test_wrong_captions_are_found_at_once(host, root, tmp_path):
    (tmp_path / "captions_val2017.json").write_text("{}")
    with pytest.raises(BenchError, match="not a COCO captions file"):
        fetch("coco5k", root, from_dir=tmp_path)


def test_too_little_disk_is_said_before_the_download(host, root, monkeypatch):
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda folder: SimpleNamespace(free=5))
    with pytest.raises(BenchError, match=r"GB are needed for annotations\.zip, 0\.0 GB are free"):
        fetch("coco5k", root)
    assert not root.exists()


def test_refusals(host, root, tmp_path):
    with pytest.raises(BenchError, match=r"annotations\.zip, val2017\.zip would be downloaded, but --offline is set"):
        fetch("coco5k", root, offline=True)
    with pytest.raises(BenchError, match="no such folder; --from takes"):
        fetch("coco5k", root, from_dir=tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchError, match=r"has none of the files \(annotations\.zip or annotations/captions"):
        fetch("coco5k", root, from_dir=tmp_path / "empty")
    with pytest.raises(BenchError, match="dataset 'skimage-photos' has nothing to fetch"):
        fetch("skimage-photos", root)
    with pytest.raises(BenchError, match="unknown dataset 'coco5'; did you mean 'coco5k'"):
        fetch("coco5", root)


def test_a_server_that_fails(host, root):
    (host / "val2017.zip").unlink()
    with pytest.raises(BenchError, match=r"cannot download http://.*/val2017\.zip: the server answers 404"):
        fetch("coco5k", root)
    assert files_below(root) == TEXTS
