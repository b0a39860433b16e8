"""A sampler in one file: it runs where gan_mtl is not, and gives the same images."""

import subprocess
import sys

import jax
import numpy as np
import pytest

from gan_mtl.run import commands
from gan_mtl.run.export import export_sampler
from gan_mtl.run.load import load

pytest.importorskip("flatbuffers")

ALONE = """
import sys
sys.modules["gan_mtl"] = sys.modules["flax"] = None  # importing either fails
import jax, jax.export, numpy as np
sampler = jax.export.deserialize(bytearray(open(sys.argv[1], "rb").read()))
np.save(sys.argv[2], sampler.call(np.uint32(7), np.arange(5, dtype=np.int32)))
"""


def test_the_file_runs_without_this_package(semi_run, tmp_path, capsys):
    file, images = tmp_path / "sampler.jax", tmp_path / "images.npy"
    commands.main(["export", str(semi_run), "--n", "5", "--out", str(file)])
    assert str(file) in capsys.readouterr().out
    command = [sys.executable, "-c", ALONE, str(file), str(images)]
    subprocess.run(command, check=True, cwd=tmp_path)
    found, loaded = np.load(images), load(semi_run)
    low, high = loaded.spec.value_range
    here = np.asarray(loaded.sample(jax.random.key(7), 5, np.arange(5)))
    expected = np.clip((here - low) / (high - low), 0, 1) * 255
    assert found.dtype == np.uint8 and found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=0.51)
    assert found.std() > 0


def test_what_cannot_be_exported_is_refused_by_name(semi_run, monkeypatch):
    loaded = load(semi_run)
    with pytest.raises(ValueError, match="n=0"):
        export_sampler(loaded, 0)
    with pytest.raises(ValueError, match="generates nothing"):
        export_sampler(loaded._replace(game=loaded.game._replace(sample=None)), 1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"gan_mtl\[export\]"):
        export_sampler(loaded, 1)
