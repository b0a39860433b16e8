import numpy as np

from gan_mtl.data.generated import grid, ring


def test_ring():
    found = ring(8000, seed=0)
    assert np.bincount(found.labels).tolist() == [1000] * 8
    for mode in range(8):
        points = found.images[found.labels == mode].astype(float)
        centre = 2.0 * np.array([np.cos(np.pi * mode / 4), np.sin(np.pi * mode / 4)])
        np.testing.assert_allclose(points.mean(0), centre, atol=0.004)
        np.testing.assert_allclose(np.cov(points.T), 0.02**2 * np.eye(2), atol=5e-5)


def test_grid():
    found = grid(25, seed=0, std=0.0)
    assert sorted(map(tuple, found.images.tolist())) == [
        (x, y) for x in (-4.0, -2.0, 0.0, 2.0, 4.0) for y in (-4.0, -2.0, 0.0, 2.0, 4.0)
    ]


def test_seed():
    a, b, c = (ring(10, seed).images.tolist() for seed in (0, 0, 1))
    assert a == b != c
