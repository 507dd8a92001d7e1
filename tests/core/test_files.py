"""Downloads against a server on this machine that misbehaves on order."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from t2ibench.core import files
from t2ibench.core.errors import BenchError
from t2ibench.core.files import download, mismatch, sha256_file, write_atomic

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """``/whole`` honours Range, ``/no-range`` does not, ``/drop`` ends early, ``/drop-once`` the first time only."""

    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("Range")))
        if self.path.startswith("/status"):
            return self.send_error(int(self.path.rpartition("/")[2]))
        start = self.start()
        if start is not None and start >= len(CONTENT):
            return self.send_error(416)
        self.send_response(200 if start is None else 206)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        body = CONTENT[start or 0 :]
        if self.path != "/no-length":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.drops() else body)

    def start(self):
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(asked[1]) if asked and self.path != "/no-range" else None

    def drops(self):
        seen = sum(path == self.path for path, _ in self.server.requests)
        return self.path == "/drop" or (self.path == "/drop-once" and seen == 1)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(files, "_PAUSE", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.requests = []
        running.url = f"http://127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def test_downloads_checks_and_reports(server, tmp_path):
    seen = []
    path = download(
        f"{server.url}/whole",
        tmp_path / "new" / "file",
        size=len(CONTENT),
        sha256=SHA256[:8],
        progress=lambda done, total: seen.append((done, total)),
    )
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert list(path.parent.iterdir()) == [path]


def test_what_is_there_and_right_costs_no_request(server, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    download(f"{server.url}/whole", path, size=len(CONTENT), sha256=SHA256)
    assert server.requests == []


def test_what_is_there_and_wrong_is_fetched_again(server, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert download(f"{server.url}/whole", path, sha256=SHA256).read_bytes() == CONTENT


def test_goes_on_from_the_part_file(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:1000])
    assert download(f"{server.url}/whole", tmp_path / "file", sha256=SHA256).read_bytes() == CONTENT
    assert server.requests == [("/whole", "bytes=1000-")]


def test_a_full_part_file_costs_no_request(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT)
    download(f"{server.url}/whole", tmp_path / "file", size=len(CONTENT), sha256=SHA256)
    assert server.requests == []


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_part_file_longer_than_the_file_is_dropped(server, tmp_path, size):
    (tmp_path / "file.part").write_bytes(CONTENT + b"more")
    assert download(f"{server.url}/whole", tmp_path / "file", size=size, sha256=SHA256).read_bytes() == CONTENT


def test_starts_anew_where_the_server_ignores_ranges(server, tmp_path):
    (tmp_path / "file.part").write_bytes(b"x" * 1000)
    assert download(f"{server.url}/no-range", tmp_path / "file", sha256=SHA256).read_bytes() == CONTENT


def test_a_server_that_tells_no_length(server, tmp_path):
    assert download(f"{server.url}/no-length", tmp_path / "file", size=len(CONTENT)).read_bytes() == CONTENT


def test_takes_up_a_dropped_connection(server, tmp_path):
    assert download(f"{server.url}/drop-once", tmp_path / "file", sha256=SHA256).read_bytes() == CONTENT
    assert server.requests == [("/drop-once", None), ("/drop-once", f"bytes={len(CONTENT) // 2}-")]


def test_gives_up_where_no_connection_brings_anything(server, tmp_path, monkeypatch):
    monkeypatch.setattr(Handler, "drops", lambda self: True)
    monkeypatch.setattr(files, "_append", lambda response, part, start, total, progress: start)
    with pytest.raises(BenchError, match="ended at 0 of"):
        download(f"{server.url}/drop", tmp_path / "file")
    assert len(server.requests) == files._ATTEMPTS


def test_wrong_content_is_removed(server, tmp_path):
    with pytest.raises(BenchError, match=r"has sha256 .*, not 0000"):
        download(f"{server.url}/whole", tmp_path / "file", sha256="0000")
    assert list(tmp_path.iterdir()) == []


def test_wrong_size_is_seen_before_anything_is_fetched(server, tmp_path):
    with pytest.raises(BenchError, match=r"offers 1,048,576 bytes, not 5"):
        download(f"{server.url}/whole", tmp_path / "file", size=5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (503, 4)])
def test_http_errors_in_one_line(server, tmp_path, status, tries):
    with pytest.raises(BenchError, match=f"cannot download {server.url}/status/{status}: the server answers {status} "):
        download(f"{server.url}/status/{status}", tmp_path / "file")
    assert len(server.requests) == tries


def test_unreachable_host(server, tmp_path):
    server.shutdown()
    server.server_close()
    with pytest.raises(BenchError, match=r"cannot download .*refused"):
        download(f"{server.url}/whole", tmp_path / "file")


def test_only_http(tmp_path):
    with pytest.raises(BenchError, match="only http:// and https://"):
        download("file:///etc/hostname", tmp_path / "file")


def test_a_disk_that_fails(server, tmp_path):
    (tmp_path / "folder").write_bytes(b"a file where a folder should be")
    with pytest.raises(BenchError, match=r"cannot write .*file\.part"):
        download(f"{server.url}/whole", tmp_path / "folder" / "file")


def test_full_disk_is_not_retried(server, tmp_path):
    (tmp_path / "file.part").symlink_to("/dev/full")
    with pytest.raises(BenchError, match="No space left on device; free space"):
        download(f"{server.url}/whole", tmp_path / "file")
    assert len(server.requests) == 1


def test_mismatch_tells_size_and_digest(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert mismatch(path, 3, sha256_file(path).upper()) is None
    assert mismatch(path, 4, None) == "is 3 bytes, not 4"
    assert mismatch(path, None, "00") == "has sha256 ba, not 00"


def test_write_atomic_leaves_the_old_file_on_failure(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, "old")
    with pytest.raises(TypeError):
        write_atomic(path, 5)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
