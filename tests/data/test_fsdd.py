"""Spoken digits: splits by take and by speaker, pictures of tones, the manifest, bad files."""

import numpy as np
import pytest

from gan_mtl import audio, data
from gan_mtl.data import fsdd

RATE, TAKES, DIGITS = 8000, 7, 2


def tone(digit, length, loudness):
    t = np.arange(length) / RATE
    return np.rint(loudness * np.sin(2 * np.pi * (500 + 2000 * digit) * t)).astype(np.int16)


@pytest.fixture(scope="module")
def members():
    rows = [(s, d, i) for s in range(6) for d in range(DIGITS) for i in range(TAKES)]
    waves = [tone(d, 700 + 90 * i + 2000 * (s == 5), 400 * (s + 1)) for s, d, i in rows]
    speaker, digit, index = (np.array(column, np.uint8) for column in zip(*rows, strict=True))
    return {
        "samples": np.concatenate(waves),
        "offsets": np.cumsum([0, *map(len, waves)]),
        "digit": digit,
        "speaker": speaker,
        "index": index,
        "speaker_names": np.array(fsdd.SPEAKERS),
        "sample_rate": np.array(RATE),
    }


@pytest.fixture
def root(tmp_path, members):
    return write(tmp_path, members)


def write(root, members):
    (root / "fsdd").mkdir(exist_ok=True)
    np.savez_compressed(root / "fsdd" / fsdd.FILE, **members)
    return root


def test_the_publisher_s_split_has_every_speaker_in_both_parts(root):
    found = data.load("fsdd", root)
    assert found.validation is None and found.num_classes == 10
    assert np.bincount(found.train.targets["speaker"]).tolist() == [4] * 6
    assert np.bincount(found.test.targets["speaker"]).tolist() == [10] * 6
    assert np.bincount(found.test.labels).tolist() == [30, 30]
    assert found.train.images.shape == (24, 32, 32, 1)
    data.verify(found.manifest, found)
    batch = data.stream(found.train, 4, seed=0).batch(0)
    assert set(batch) == {"images", "labels", "speaker"}


def test_a_speaker_left_out_is_tested_on_alone(root):
    out, only = data.load("fsdd:theo", root), data.load("fsdd:only-theo", root)
    assert out.name == "fsdd:theo" and only.validation is None
    number = fsdd.SPEAKERS.index("theo")
    for split, count in ((out.train, 20), (out.validation, 50)):
        assert split.num_examples == count and number not in split.targets["speaker"]
    for split, count in ((out.test, 10), (only.train, 4), (only.test, 10)):
        assert split.num_examples == count and set(split.targets["speaker"]) == {number}
    np.testing.assert_array_equal(out.test.images, only.test.images)
    others = data.load("fsdd:not-theo", root)
    np.testing.assert_array_equal(others.train.images, out.train.images)
    np.testing.assert_array_equal(others.test.images, out.validation.images)
    both = data.load("joined:fsdd:not-theo+fsdd:only-theo", root)
    assert [source.name for source in both.sources] == ["fsdd:not-theo", "fsdd:only-theo"]
    assert set(both.train.targets) == {"speaker", "source"}
    part = data.part(both, both.test, "fsdd:only-theo")
    np.testing.assert_array_equal(part.images, only.test.images)
    np.testing.assert_array_equal(part.labels, only.test.labels)
    data.verify(out.manifest, data.load("fsdd:theo", root))


def test_pictures_show_the_tone_where_it_is_whatever_its_loudness_and_length(root):
    found = data.load("fsdd", root).test
    front_end = fsdd.VIEWS["fsdd"].front_end
    centres = np.arange(1, 33) / 33 * audio.hz_to_mel(4000.0, "htk")
    for digit in range(DIGITS):
        wanted = np.abs(centres - audio.hz_to_mel(500 + 2000 * digit, "htk")).argmin()
        shown = found.images[found.labels == digit][..., 0]
        assert (shown[:, :, 4:28].argmax(axis=1) == front_end.mels - 1 - wanted).all()
        middle = shown[:, :, 16].astype(int)
        assert np.ptp(middle.max(axis=1)) <= 3, "as loud as each other, at any length"


def test_padded_pictures_and_waves_go_back(root, members):
    padded, waves = data.load("fsdd_padded", root).test, data.load("fsdd_waves", root).test
    assert padded.images.shape[1:] == (64, 64, 1) and waves.images.shape[1:] == (8192, 1, 1)
    first = members["samples"][:700] / 400
    again = audio.expand(data.to_float(waves.images[0, :, 0, 0]).astype(np.float64))
    np.testing.assert_allclose(again[:700], first, atol=0.025)
    assert np.abs(again[700:]).max() < 1e-4, "silence after the end"
    spectrum = audio.log_mel(fsdd.VIEWS["fsdd_padded"].front_end, np.pad(first, (0, 7492)))
    low, high = audio.FrontEnd().low, audio.FrontEnd().high
    found = audio.from_pictures(audio.FrontEnd(), data.to_float(padded.images[0]))
    np.testing.assert_allclose(found, spectrum, atol=0.51 * (high - low) / 255)
    for name in ("fsdd_padded", "fsdd_waves"):
        with pytest.raises(ValueError, match=f"{name}: size=32, but .* take size=None"):
            data.load(name, root, size=32)
    assert data.load("fsdd", root, size=28).train.images.shape[1:] == (28, 28, 1)


def test_the_manifest_says_which_front_end(root):
    found = data.load("fsdd", root)
    said = found.manifest["front_end"]
    assert said["front_end_sha256"] == audio.digest(fsdd.VIEWS["fsdd"].front_end)
    assert said["front_end"]["hop"] == 64
    other = {**found.manifest, "front_end": {**said, "front_end_sha256": "0" * 64}}
    with pytest.raises(ValueError, match=r"front_end.front_end_sha256: the manifest has 000"):
        data.verify(other, data.with_fraction(found, 1, seed=0))
    assert data.with_labels(found, 1, seed=0).manifest["front_end"] == said
    hashes = {fsdd.describe(view)["sha256"] for view in fsdd.VIEWS.values()}
    assert len(hashes) == len(fsdd.VIEWS)
    assert "front_end" not in data.load("digits").manifest


def test_bad_names_and_files(tmp_path, members):
    with pytest.raises(ValueError, match=r"no speaker 'thea'; give fsdd:NAME .* fsdd:not-NAME"):
        data.load("fsdd:thea", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"looked for fsdd.npz(.|\n)*ROOT/fsdd/"):
        data.load("fsdd_padded:theo", tmp_path)
    bad = {k: v for k, v in members.items() if k != "index"}
    with pytest.raises(ValueError, match=r"has no member index; it is not fsdd.npz"):
        data.load("fsdd", write(tmp_path, bad))
    bad = {**members, "offsets": members["offsets"][:-1]}
    with pytest.raises(ValueError, match="offsets are of 83 recordings"):
        data.load("fsdd", write(tmp_path, bad))
    bad = {**members, "sample_rate": np.array(16000)}
    with pytest.raises(ValueError, match="at 16000 Hz; it should have"):
        data.load("fsdd", write(tmp_path, bad))
    path = write(tmp_path, members) / "fsdd" / fsdd.FILE
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="is no NumPy archive, or is damaged"):
        data.load("fsdd", tmp_path)


def test_real_counts(real):
    root = real(f"fsdd/{fsdd.FILE}")
    found = data.load("fsdd_waves:only-lucas", root)
    assert found.train.num_examples == 450 and found.test.num_examples == 50
    assert np.bincount(found.train.labels).tolist() == [45] * 10
    loudest = np.abs(found.train.images - 127.5).max(axis=(1, 2, 3))
    assert (loudest == 127.5).all(), "every recording at full loudness"


@pytest.mark.parametrize("columns", [3, 8, 13])
def test_stretching_reads_a_ramp_at_the_middles_of_columns(columns):
    ramp = np.arange(8.0) + 0.5  # in place of time: column j lies at j + 1/2
    wanted = ((np.arange(columns) + 0.5) * 8 / columns).clip(0.5, 7.5)
    found = fsdd.stretched(np.tile(ramp, (2, 3, 1)), columns)
    np.testing.assert_allclose(found, np.broadcast_to(wanted, (2, 3, columns)), atol=1e-12)
