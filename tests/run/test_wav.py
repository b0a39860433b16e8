"""WAV files: written, read back, and against SciPy's reader; widths, channels, bad files."""

import wave

import numpy as np
import pytest
from scipy.io import wavfile

from gan_mtl.data.wav import read_wav
from gan_mtl.run.wav import write_wav

X = np.random.default_rng(0).uniform(-1, 1, (300, 2)).astype(np.float32)


@pytest.mark.parametrize("samples", [X, X[:, 0]], ids=["stereo", "mono"])
def test_round_trip_and_scipy(tmp_path, samples):
    path = write_wav(tmp_path / "new" / "x.wav", samples, 8000)
    found = read_wav(path)
    assert found.sample_rate == 8000 and found.samples.dtype == np.float32
    np.testing.assert_allclose(found.samples, samples.reshape(300, -1), atol=0.5001 / 32768)
    rate, integers = wavfile.read(path)
    assert rate == 8000
    np.testing.assert_array_equal(found.samples * 32768, integers.reshape(300, -1))
    assert [p.name for p in path.parent.iterdir()] == ["x.wav"]


def test_too_loud_is_cut_off(tmp_path):
    path = write_wav(tmp_path / "x.wav", np.array([2.0, -2.0, 0.0]), 8000)
    np.testing.assert_allclose(read_wav(path).samples[:, 0], [32767 / 32768, -1, 0])


@pytest.mark.parametrize(
    ("width", "data"),
    [(1, b"\x00\x80\xff"), (3, b"\x00\x00\x80" + b"\x00" * 3 + b"\xff\xff\x7f")],
)
def test_8_and_24_bits(tmp_path, width, data):
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(width)
        file.setframerate(100)
        file.writeframes(data)
    found = read_wav(tmp_path / "x.wav").samples[:, 0]
    np.testing.assert_allclose(found, [-1, 0, 1 - 2.0 ** (1 - 8 * width)], rtol=1e-7)


def test_bad_files_and_samples(tmp_path):
    path = write_wav(tmp_path / "x.wav", X, 8000)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is cut off: its header announces 300 samples"):
        read_wav(path)
    path.write_bytes(b"RIFF....")
    with pytest.raises(ValueError, match="is no WAV file of PCM samples"):
        read_wav(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_wav(tmp_path / "y.wav")
    with pytest.raises(ValueError, match=r"samples\[1\] is nan; all must be finite"):
        write_wav(tmp_path / "z.wav", np.array([0.0, np.nan]), 8000)
    with pytest.raises(ValueError, match=r"dtype int16 .*give floats of -1"):
        write_wav(tmp_path / "z.wav", np.zeros(4, np.int16), 8000)
    assert not (tmp_path / "z.wav").exists()
