"""Linear probes on features whose answer is known."""

import numpy as np
import pytest

from gan_mtl import data
from gan_mtl.run import probes

RNG = np.random.default_rng(0)


def test_a_class_on_one_axis_is_read_and_noise_is_not():
    labels = np.tile([0, 1], 100)
    told = np.stack([labels + 0.1 * RNG.normal(size=200), RNG.normal(size=200)], axis=1)
    noise = RNG.normal(size=(200, 2))
    half = labels[:100]
    assert probes.linear_probe((told[:100], told[100:]), (half, half)) == 1.0
    assert abs(probes.linear_probe((noise[:100], noise[100:]), (half, half)) - 0.5) < 0.15


def test_the_scale_of_a_feature_does_not_matter():
    labels = np.tile([0, 1, 2], 60)
    x = np.stack([labels == k for k in range(3)], axis=1) + 0.4 * RNG.normal(size=(180, 3))
    halves, of = (x[:90], x[90:]), (labels[:90], labels[90:])
    scaled = tuple(h * np.array([1e-3, 1.0, 1e3]) for h in halves)
    assert probes.linear_probe(halves, of) == probes.linear_probe(scaled, of)


@pytest.fixture
def dataset():
    def one(name, value, count):
        images = RNG.integers(0, 20, (count, 4, 4, 1)).astype(np.uint8) + np.uint8(value)
        split = data.Split(images, np.zeros(count, np.int32))
        return data.assemble(name, split, split, ("c",), source="made")

    return data.joined("both", [one("dark", 0, 80), one("light", 200, 40)])


def brightness(name, images):
    return images.reshape(len(images), -1).mean(axis=1, keepdims=True)


def blind(name, images):
    return RNG.normal(size=(len(images), 3))


def test_leakage_is_how_well_sources_are_told_apart(dataset):
    assert probes.leakage(brightness, dataset) == 1.0
    assert abs(probes.leakage(blind, dataset) - 0.5) < 0.25


def test_every_source_counts_equally(dataset):
    seen = {}

    def noted(name, images):
        seen[name] = len(images)
        return blind(name, images)

    probes.leakage(noted, dataset)
    assert seen == {"dark": 40, "light": 40}
