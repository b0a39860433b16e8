import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.data.convert import from_arrays, to_float, to_uint8

RANGES = [(-1.0, 1.0), (0.0, 1.0), (0.0, 255.0), (-0.5, 0.5), (-2.0, 6.0)]
LEVELS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)


@pytest.mark.parametrize("value_range", RANGES)
def test_ends_are_exact_and_levels_near(value_range):
    low, high = value_range
    found = to_float(LEVELS, low, high)
    assert found.dtype == np.float32
    if low in (0.0, -high):
        assert (found.min(), found.max()) == (low, high)
    exact = low + LEVELS.astype(np.float64) * (high - low) / 255
    np.testing.assert_allclose(found, exact, rtol=0, atol=2e-7 * (high - low))


@pytest.mark.parametrize("value_range", RANGES)
def test_numpy_and_jax_give_the_same_bits(value_range):
    expected = to_float(LEVELS, *value_range)
    for function in (to_float, jax.jit(to_float, static_argnums=(1, 2))):
        found = function(jnp.asarray(LEVELS), *value_range)
        assert found.dtype == jnp.float32
        np.testing.assert_array_equal(np.asarray(found), expected)


@pytest.mark.parametrize("value_range", RANGES)
def test_round_trip(value_range):
    np.testing.assert_array_equal(to_uint8(to_float(LEVELS, *value_range), *value_range), LEVELS)


def test_sixteen_levels_stay_apart():
    assert to_uint8(np.arange(17), 0, 16).tolist() == [
        0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255
    ]  # fmt: skip


def test_from_uint8_arrays():
    split = from_arrays(LEVELS[..., 0], [3])
    np.testing.assert_array_equal(split.images, LEVELS)
    assert split.labels.dtype == np.int32


def test_from_floats_with_a_range():
    images = np.array([-1.0, 0.0, 1.0]).reshape(3, 1, 1, 1)
    split = from_arrays(images, value_range=(-1.0, 1.0))
    assert split.images.reshape(-1).tolist() == [0, 128, 255]
    assert split.labels.tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("images", "kwargs", "message"),
    [
        (np.zeros((2, 4, 4)), {}, r"images has dtype float64; give uint8 .* value_range"),
        (np.full((2, 4, 4), 2.0), {"value_range": (0, 1)}, r"2 .. 2, outside value_range=\(0, 1\)"),
        (np.zeros((2, 4), np.uint8), {}, r"images has shape \[2, 4\]"),
        (np.zeros((2, 3, 8, 8), np.uint8), {}, r"channels first; .*transpose\(0, 2, 3, 1\)"),
        (np.zeros((0, 8, 8), np.uint8), {}, r"shape \[0, 8, 8, 1\]: it is empty"),
        (np.full((1, 1, 1), np.nan), {"value_range": (0, 1)}, r"images\[0, 0, 0, 0\] is nan"),
        (np.zeros((1, 1, 1)), {"value_range": (1, 0)}, r"value_range=\(1, 0\); give \(low, high\)"),
    ],
)
def test_bad_images(images, kwargs, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(images, **kwargs)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 12], r"mine: labels\[1\] is 12, outside 0 .. 9 \(1 such labels\)"),
        ([0, -2], r"labels\[1\] is -2"),
        ([0.0, 1.0], "labels has dtype float64; give integers"),
        (np.eye(2, dtype=int), r"shape \[2, 2\]; .*argmax"),
        ([0], "images has 2 examples and mine: labels has 1"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(np.zeros((2, 4, 4), np.uint8), labels, num_classes=10, where="mine: ")
