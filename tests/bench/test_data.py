"""Downloads against a server on this machine that breaks off, lies and vanishes; the cache of derived data."""

import hashlib
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from bench import data

CONTENT = np.random.RandomState(0).bytes(300_000)
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; `breaks` connections close after 100,000 bytes; the length is announced or not."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.breaks, self.announced, self.content, self.status, self.asked = 0, True, CONTENT, 200, 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/text.bin"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked += 1
        if server.status != 200:
            self.send_error(server.status)
            return
        self.send_response(200)
        if server.announced:
            self.send_header("Content-Length", str(len(server.content)))
        self.end_headers()
        self.wfile.write(server.content[: 100_000 if server.breaks else None])
        server.breaks = max(0, server.breaks - 1)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)  # s between looks
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTGAN_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TEXTGAN_BENCH_DATA", raising=False)
    monkeypatch.setattr("time.sleep", lambda _: None)  # pooch waits between attempts
    return tmp_path / "cache"


def remote(url, checksum=SHA256):
    return data.RemoteFile(name="text.bin", url=url, checksum=checksum)


def leftovers(cache):
    return sorted(p.name for p in cache.rglob("*") if p.is_file() and not p.name.endswith(".lock"))


def test_a_download_is_kept_and_not_repeated(server, cache):
    path = data.fetch(remote(server.url))
    assert path.read_bytes() == CONTENT
    assert data.fetch(remote(server.url)) == path
    assert server.asked == 1
    assert leftovers(cache) == ["text.bin"]


def test_a_broken_connection_is_tried_again(server):
    server.breaks = 2
    assert data.fetch(remote(server.url)).read_bytes() == CONTENT
    assert server.asked == 3


@pytest.mark.parametrize("announced", [True, False])
def test_more_than_the_known_size_is_refused(server, cache, announced):
    server.announced = announced
    file = data.RemoteFile(name="text.bin", url=server.url, checksum=SHA256, size=len(CONTENT) - 1)
    with pytest.raises(FileNotFoundError, match="more than 299,999 bytes"):
        data.fetch(file)
    assert server.asked == 1
    assert leftovers(cache) == []


def test_a_size_that_is_not_known_has_a_limit_too(server, cache, monkeypatch):
    monkeypatch.setattr(data, "MAX_BYTES", 200_000)
    with pytest.raises(FileNotFoundError, match="more than 200,000 bytes"):
        data.fetch(remote(server.url))
    assert leftovers(cache) == []


def test_another_content_is_never_accepted(server, cache):
    server.content = b"something else"
    with pytest.raises(FileNotFoundError, match="has the checksum sha256:"):
        data.fetch(remote(server.url))
    assert leftovers(cache) == []


def test_a_spoilt_cached_file_is_replaced(server, cache):
    path = data.fetch(remote(server.url))
    path.write_bytes(b"spoilt")
    assert data.fetch(remote(server.url)).read_bytes() == CONTENT


def test_a_git_blob_is_a_checksum_too(server, tmp_path):
    (tmp_path / "blob").write_bytes(CONTENT)
    known = subprocess.run(["git", "hash-object", tmp_path / "blob"], capture_output=True, text=True, check=True)
    assert data.fetch(remote(server.url, f"git:{known.stdout.strip()}")).read_bytes() == CONTENT
    with pytest.raises(FileNotFoundError, match=f"expected git:{'0' * 40}"):
        data.fetch(remote(server.url, "git:" + "0" * 40))


@pytest.mark.parametrize("status", [404, 503])
def test_without_the_file_the_error_says_what_to_put_where(server, cache, status):
    server.status = status
    with pytest.raises(FileNotFoundError) as error:
        data.fetch(remote(server.url))
    message = str(error.value)
    for part in ("text.bin", server.url, SHA256, str(cache), "TEXTGAN_BENCH_DATA", str(status)):
        assert part in message
    place = next(line for line in message.splitlines() if line.startswith("and put it at "))
    path = Path(place.removeprefix("and put it at "))
    path.write_bytes(CONTENT)
    assert data.fetch(remote(server.url)) == path


def test_offline_is_a_clear_error():
    with pytest.raises(FileNotFoundError, match="could not be downloaded \\(ConnectionError"):
        data.fetch(remote("http://127.0.0.1:9/text.bin"))


def test_a_data_folder_comes_first(server, tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "text.bin").write_bytes(b"another file of this name")
    (folder / "a" / "b" / "text.bin").write_bytes(CONTENT)
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(folder))
    assert data.fetch(remote(server.url)) == folder / "a" / "b" / "text.bin"
    assert server.asked == 0


def test_another_file_of_the_name_is_ignored_with_a_warning(server, tmp_path, monkeypatch):
    (tmp_path / "text.bin").write_bytes(b"another file of this name")
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(tmp_path))
    with pytest.warns(UserWarning, match="the checksum is not"):
        assert data.fetch(remote(server.url)).read_bytes() == CONTENT


def test_a_data_folder_that_is_none_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("TEXTGAN_BENCH_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="not a folder"):
        data.fetch(remote("http://127.0.0.1:9/text.bin"))


def test_runs_that_start_together_download_once(server):
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: data.fetch(remote(server.url)), range(4)))
    assert len(set(paths)) == 1
    assert paths[0].read_bytes() == CONTENT
    assert server.asked == 1


def test_a_cache_that_cannot_hold_the_file_is_a_clear_error(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("a file, so nothing can be put below it")
    monkeypatch.setenv("TEXTGAN_BENCH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(FileNotFoundError, match=r"could not be downloaded \((NotADirectory|FileExists)Error"):
        data.fetch(remote(server.url))


def test_a_wrong_checksum_kind_is_refused():
    with pytest.raises(ValueError, match="sha256:<64 digits>"):
        remote("http://127.0.0.1:9/text.bin", "md5:abc")


def test_github_addresses():
    file = data.github("owner/name", "main", "a/b.txt", SHA256)
    assert (file.name, file.url) == ("b.txt", "https://raw.githubusercontent.com/owner/name/main/a/b.txt")


def test_derived_data_are_built_once_and_again_when_unreadable(cache):
    built = []

    def build():
        built.append(1)
        return {"x": np.arange(5), "y": np.array([0.5])}

    for _ in range(2):
        arrays = data.derived("key", build)
        assert arrays["x"].tolist() == [0, 1, 2, 3, 4]
    assert len(built) == 1
    path = cache / "derived" / "key.npz"
    whole = path.read_bytes()
    for spoilt in (b"", b"no archive", whole[: len(whole) // 2]):
        path.write_bytes(spoilt)
        assert data.derived("key", build)["y"].tolist() == [0.5]
    assert len(built) == 4
    assert data.derived("key", build)["y"].tolist() == [0.5]
    assert len(built) == 4
    assert leftovers(cache) == ["key.npz"]


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("a file, so nothing can be put below it")
    monkeypatch.setenv("TEXTGAN_BENCH_CACHE", str(tmp_path / "file" / "cache"))
    assert data.derived("key", lambda: {"x": np.arange(2)})["x"].tolist() == [0, 1]


def test_the_cache_folder_is_the_users_own_by_default(monkeypatch):
    monkeypatch.delenv("TEXTGAN_BENCH_CACHE")
    assert data.cache_folder().name == "textgan-bench"
