import functools
import http.server
import threading

import numpy as np
import pytest

from gan_mtl.data import tfds, tfds_builders


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path, idx_folder):
    """The address of a web server that holds the published files, and what is in them."""
    written = idx_folder(tmp_path / "web")
    handler = functools.partial(_Quiet, directory=tmp_path / "web")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", written
        server.shutdown()
        thread.join()


def test_downloads_without_tensorflow(tmp_path, served, monkeypatch):
    tfds_builders.tensorflow_datasets.disable_progress_bar()
    url, written = served
    monkeypatch.setattr(tfds_builders.GanMtlMnist, "URL", url)
    tfds.prepare("mnist", tmp_path / "root")
    found = tfds.read_tfds("mnist", [tmp_path / "root"]).splits
    for key, split in written.items():
        np.testing.assert_array_equal(found[key].images, split.images)


def test_one_for_each_name():
    assert set(tfds_builders.BUILDERS) == set(tfds.OURS)
    for name, builder in tfds_builders.BUILDERS.items():
        assert builder.name == f"gan_mtl_{name}"
        assert builder.URL.endswith("/") and builder.FILES
