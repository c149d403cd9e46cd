import http.server
import socket
import threading
import urllib.error

import pytest

from pruneedu import data
from pruneedu.data import originals


def files_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_offline_the_error_names_folders_files_and_both_ways(cache, monkeypatch, tmp_path):
    def unreachable(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", unreachable)
    monkeypatch.setenv("PRUNEEDU_DATA", str(tmp_path))
    assert "fashion-mnist" not in data.found()
    with pytest.raises(FileNotFoundError) as caught:
        data.load("fashion-mnist")
    message = str(caught.value)
    expected = [str(tmp_path), str(cache), "set PRUNEEDU_DATA to a folder", "once with a network"]
    for part in [*expected, *originals.FILES["fashion-mnist"], "no route to host"]:
        assert part in message
    assert "\n" not in message


@pytest.fixture
def mirror(tiny_mnist, monkeypatch):
    """Serve the tiny MNIST on the loopback interface, after a first mirror that is dead."""
    folder = tiny_mnist[0] / "MNIST/raw"

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=folder)

        def log_message(self, *_):
            pass

    with (
        socket.create_server(("127.0.0.1", 0)) as closed,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server,
    ):
        dead = closed.getsockname()[1]
        closed.close()
        mirrors = [f"http://127.0.0.1:{port}/" for port in (dead, server.server_port)]
        monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", mirrors)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield folder
        server.shutdown()
        thread.join()


def test_a_download_goes_to_the_cache_with_a_progress_bar(
    cache, tiny_mnist, mirror, monkeypatch, tmp_path, capsys
):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PRUNEEDU_DATA", str(tmp_path / "empty"))
    assert len(data.load("mnist").test.y) == 20
    assert "100%" in capsys.readouterr().err
    assert files_in(cache) == set(originals.FILES["mnist"])
    assert not list((tmp_path / "empty").iterdir())
    assert socket.getdefaulttimeout() is None
    monkeypatch.setattr("torchvision.datasets.utils.download_url", None)
    assert len(data.load("mnist").test.y) == 20


def test_a_damaged_download_is_not_kept(cache, mirror):
    *intact, last = originals.FILES["mnist"]
    (mirror.parents[1] / last).write_bytes(b"<html>Please sign in</html>")
    with pytest.raises(FileNotFoundError, match=f"corrupted.*looked in .* for .*{last}"):
        data.load("mnist")
    assert files_in(cache) == set(intact)
