"""Augmentation: DiffAugment against loops, ADA's identity, statistics and controller."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import draws
from gan_mtl.losses import augment
from gan_mtl.losses.augment import ada_init, ada_update
from gan_mtl.types import Context

KEY = jax.random.key(0)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))
ada_augment = jax.jit(augment.ada_augment, static_argnames="policy")
diff_augment = jax.jit(augment.diff_augment, static_argnames="policy")


def normal(*shape):
    return jax.random.normal(KEY, shape)


def drawn(part, name, n, *bounds):
    context = CONTEXT.fold("diff_augment/" + part).fold(name)
    if len(bounds) == 1:
        return np.asarray(draws.integers(n, *bounds, context))
    return np.asarray(draws.uniform(n, (), context, *bounds), np.float64)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_color_against_loops(channels):
    x = normal(5, 4, 6, channels)
    brightness = drawn("color", "brightness", 5, -0.5, 0.5)
    saturation = drawn("color", "saturation", 5, 0.0, 2.0)
    contrast = drawn("color", "contrast", 5, 0.5, 1.5)
    got = diff_augment(x, CONTEXT, ("color",))
    for i, image in enumerate(np.asarray(x, np.float64)):
        image = image + brightness[i]
        gray = image.mean(axis=2)
        for c in range(channels):
            image[..., c] = gray + saturation[i] * (image[..., c] - gray)
        want = image.mean() + contrast[i] * (image - image.mean())
        np.testing.assert_allclose(got[i], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("h", "w"), [(8, 8), (16, 5), (3, 24)])
def test_translation_against_loops(h, w):
    x = normal(12, h, w, 2)
    most_y, most_x = int(h / 8 + 0.5), int(w / 8 + 0.5)
    by_y = drawn("translation", "down", 12, 2 * most_y + 1) - most_y
    by_x = drawn("translation", "right", 12, 2 * most_x + 1) - most_x
    want = np.zeros(x.shape)
    for n in range(12):
        for i in range(h):
            for j in range(w):
                if 0 <= i + by_y[n] < h and 0 <= j + by_x[n] < w:
                    want[n, i, j] = x[n, i + by_y[n], j + by_x[n]]
    np.testing.assert_allclose(diff_augment(x, CONTEXT, ("translation",)), want, rtol=1e-6)


@pytest.mark.parametrize(("h", "w"), [(8, 8), (7, 4), (6, 5)])
def test_cutout_against_loops(h, w):
    x = jnp.ones((12, h, w, 2))
    boxes = int(h / 2 + 0.5), int(w / 2 + 0.5)
    row = drawn("cutout", "row", 12, h + 1 - boxes[0] % 2)
    column = drawn("cutout", "column", 12, w + 1 - boxes[1] % 2)
    want = np.ones(x.shape)
    for n in range(12):
        for i in range(row[n] - boxes[0] // 2, row[n] - boxes[0] // 2 + boxes[0]):
            for j in range(column[n] - boxes[1] // 2, column[n] - boxes[1] // 2 + boxes[1]):
                if 0 <= i < h and 0 <= j < w:
                    want[n, i, j] = 0
    got = diff_augment(x, CONTEXT, ("cutout",))
    np.testing.assert_array_equal(got, want)
    assert 0 < got.mean() < 1


def test_saturation_is_the_identity_on_gray_images():
    """Brightness and contrast alone: differences of pixels keep their ratios and the mean moves."""
    x = normal(4, 5, 5, 1)
    got = diff_augment(x, CONTEXT, ("color",))
    spread = np.asarray(got - got.mean(axis=(1, 2, 3), keepdims=True))
    ratio = spread / np.asarray(x - x.mean(axis=(1, 2, 3), keepdims=True))
    contrast = drawn("color", "contrast", 4, 0.5, 1.5)
    want = np.broadcast_to(contrast.reshape(4, 1, 1, 1), ratio.shape)
    np.testing.assert_allclose(ratio, want, rtol=1e-2)


def test_an_empty_policy_is_the_identity():
    x = normal(2, 4, 4, 3)
    for got in (diff_augment(x, CONTEXT, ()), ada_augment(x, CONTEXT, 1.0, ())):
        np.testing.assert_array_equal(got, x)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((3, 8, 8, 3), "float32"), ((2, 5, 8, 1), "bfloat16")]
)
def test_ada_at_zero_returns_the_bits(shape, dtype):
    x = normal(*shape).astype(dtype)
    got = ada_augment(x, CONTEXT, 0.0)
    assert got.dtype == x.dtype
    np.testing.assert_array_equal(got, x)
    assert (jnp.abs(ada_augment(x, CONTEXT, 1.0) - x).max(axis=(1, 2, 3)) > 0).all()


AUGMENT = {
    "diff_augment": augment.diff_augment,
    "ada_augment": lambda x, context: augment.ada_augment(x, context, 0.7),
}


@pytest.mark.parametrize("name", AUGMENT)
def test_gradients_flow_to_the_images(name):
    """Augmentation is affine in the images: a step of any size follows the gradient exactly."""
    x, v = normal(2, 3, 6, 5, 3)
    weights = jax.random.normal(jax.random.key(1), x.shape)
    value = jax.jit(jax.value_and_grad(lambda x: (weights * AUGMENT[name](x, CONTEXT)).sum()))
    at_x, slope = value(x)
    at_v, _ = value(x + 2 * v)
    np.testing.assert_allclose(at_v - at_x, 2 * (slope * v).sum(), rtol=1e-3, atol=1e-3)
    assert (jnp.abs(slope).sum(axis=(1, 2, 3)) > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", AUGMENT)
def test_the_same_draws_whatever_the_number_of_devices(name):
    x = normal(8, 6, 6, 3)
    mapped = jax.pmap(lambda x: AUGMENT[name](x, CONTEXT._replace(axis_name="i")), axis_name="i")
    one = jax.jit(AUGMENT[name])
    got = mapped(x[:, None])[:, 0]
    np.testing.assert_allclose(got, one(x, CONTEXT), rtol=1e-4, atol=1e-5)
    again = one(x, CONTEXT.fold("other"))
    assert (jnp.abs(again - got).max(axis=(1, 2, 3)) > 1e-3).any()


def slopes(policy, p, n, size):
    """The linear parts [n, 2, 2] of the maps, read off ramps in x and y in the images' middle."""
    ramp = jnp.arange(size, dtype=jnp.float32)
    x, y = jnp.meshgrid(ramp, ramp)
    images = jnp.broadcast_to(jnp.stack([x, y], axis=-1)[None], (n, size, size, 2))
    out = np.asarray(ada_augment(images, CONTEXT, p, policy), np.float64)
    middle = size // 2
    by_x = out[:, middle, middle + 1] - out[:, middle, middle]
    by_y = out[:, middle + 1, middle] - out[:, middle, middle]
    return np.stack([by_x, by_y], axis=2)


@pytest.mark.parametrize("p", [0.4, 1.0])
def test_blit_flips_and_turns_as_often_as_p_says(p):
    n = 1600
    maps = slopes(("blit",), p, n, 9)
    flipped = np.linalg.det(maps) < 0
    for share, want in ((flipped.mean(), p / 2), (np.abs(maps[:, 0, 1]).mean(), p / 2)):
        assert abs(share - want) < 4 * np.sqrt(want * (1 - want) / n)
    assert set(np.unique(maps)) == {-1.0, 0.0, 1.0}


def test_geometry_scales_and_turns_as_the_paper_says():
    maps = slopes(("geometry",), 1.0, 1000, 41)
    determinants = np.linalg.det(maps)
    middle = determinants > 0.2  # all but the few whose middle lies at a mirror
    assert middle.mean() > 0.99
    scales = -0.5 * np.log2(determinants[middle])
    assert abs(scales.mean()) < 0.03 and abs(scales.std() - 0.2) < 0.02
    values = np.linalg.svd(maps[middle], compute_uv=False)
    stretches = 0.5 * np.log2(values[:, 0] / values[:, 1])
    assert abs(np.sqrt((stretches**2).mean()) - 0.2) < 0.02
    angles = np.arctan2(maps[:, 1, 0], maps[:, 0, 0])
    assert abs(np.exp(1j * angles).mean()) < 0.15 and abs((angles > 0).mean() - 0.5) < 0.08


def test_geometry_turns_with_probability_p_in_all():
    """P(before or after) = p: turned maps are not diagonal."""
    maps = slopes(("geometry",), 0.36, 1600, 41)
    share = (np.abs(maps[:, 0, 1]) > 1e-4).mean()
    assert abs(share - 0.36) < 4 * np.sqrt(0.36 * 0.64 / 1600)


def test_color_of_black_is_brightness_with_probability_p():
    n = 2000
    out = np.asarray(ada_augment(jnp.zeros((n, 1, 1, 1)), CONTEXT, 0.3, ("color",))).ravel()
    assert abs((out != 0).mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / n)
    assert 0.15 < out[out != 0].std() < 0.3


def test_gray_stays_gray_and_the_gray_version_agrees():
    """Hue and saturation leave the gray axis alone; one channel is the mean of three equal ones."""
    x = normal(6, 4, 4, 1)
    colored = ada_augment(jnp.broadcast_to(x, (6, 4, 4, 3)), CONTEXT, 1.0, ("color",))
    np.testing.assert_allclose(colored.std(axis=3), 0, atol=2e-5)
    gray = ada_augment(x, CONTEXT, 1.0, ("color",))
    np.testing.assert_allclose(gray[..., 0], colored.mean(axis=3), rtol=1e-4, atol=1e-4)


def test_color_scales_chroma_by_contrast_and_saturation():
    """Chroma's norm: contrast and saturation only, log2 normal of variance 0.5^2 + 1; hue turns."""
    x = jnp.broadcast_to(jnp.array([1.0, -1.0, 0.0])[None, None, None], (1500, 1, 1, 3))
    out = np.asarray(ada_augment(x, CONTEXT, 1.0, ("color",)), np.float64)[:, 0, 0]
    chroma = out - out.mean(axis=1, keepdims=True)
    logs = np.log2(np.linalg.norm(chroma, axis=1) / np.sqrt(2))
    assert abs(logs.mean()) < 0.12 and abs(logs.std() - np.sqrt(1.25)) < 0.1
    directions = chroma / np.linalg.norm(chroma, axis=1, keepdims=True)
    assert np.abs(directions.mean(axis=0)).max() < 0.08


@pytest.mark.slow
def test_p_has_no_gradient():
    x = normal(2, 4, 4, 3)
    assert jax.grad(lambda p: ada_augment(x, CONTEXT, p).sum())(0.5) == 0


def test_controller_moves_every_fourth_step_at_the_rate_of_the_reference():
    update = jax.jit(lambda state, x: ada_update(state, x, batch=64))
    state = ada_init(0.5)
    for step in range(1, 13):
        state = update(state, jnp.ones(64))
        want = 0.5 + (step // 4) * 64 * 4 / 500_000
        np.testing.assert_allclose(state.p, want, rtol=1e-6)
        assert int(state.count) == 64 * (step % 4)
    for _ in range(4):
        state = update(state, -jnp.ones(64))
    np.testing.assert_allclose(state.p, 0.5 + 2 * 64 * 4 / 500_000, rtol=1e-6)


@pytest.mark.parametrize(("positive", "direction"), [(15, 1), (13, 1), (12, -1), (0, -1)])
def test_controller_compares_the_mean_sign_with_the_target(positive, direction):
    """Of 16 signs: 0.6 lies between 12 and 13 positive ones (0.5 and 0.625)."""
    logits = jnp.where(jnp.arange(16) < positive, 0.01, -30.0)
    state = ada_update(ada_init(0.5), logits, batch=16, every=1)
    np.testing.assert_allclose(state.p - 0.5, direction * 16 / 500_000, rtol=1e-2)


def test_controller_never_leaves_the_unit_interval():
    def last(p, logits):
        state = ada_init(p)
        for _ in range(3):
            state = ada_update(state, logits, batch=8, every=1, speed_kimg=0.01)
        return state.p

    assert last(0.5, jnp.ones(8)) == 1 and last(0.5, -jnp.ones(8)) == 0


def test_controller_over_devices_and_in_slices():
    logits = normal(16)
    whole = ada_update(ada_init(0.5), logits, batch=16, every=2)
    mapped = jax.pmap(
        lambda x: ada_update(ada_init(0.5), x, batch=16, every=2, axis_name="i"), axis_name="i"
    )
    for got, want in zip(mapped(logits.reshape(8, 2)), whole, strict=True):
        np.testing.assert_allclose(got, np.full(8, want))
    sliced = ada_init(0.5)
    for part in logits.reshape(4, 4):
        sliced = ada_update(sliced, part, batch=16, every=2)
    np.testing.assert_allclose(tuple(sliced), tuple(whole))


def test_bad_input_is_named():
    x = normal(2, 4, 4, 2)
    with pytest.raises(ValueError, match=r"policy.*'color', 'translation', 'cutout'.*'flip'"):
        diff_augment(x, CONTEXT, ("flip",))
    with pytest.raises(ValueError, match="policy"):
        diff_augment(x, CONTEXT, "color")
    with pytest.raises(ValueError, match=r"images: expected shape \[n, h, w, c\].*\(2, 4, 4\)"):
        diff_augment(x[..., 0], CONTEXT)
    with pytest.raises(ValueError, match=r"1 or 3 channels for 'color', got 2.*leave it out"):
        ada_augment(x, CONTEXT, 0.5)
    with pytest.raises(ValueError, match=r"p: expected one probability.*\(2,\)"):
        ada_augment(x, CONTEXT, jnp.ones(2), ("blit",))
    with pytest.raises(TypeError, match=r"images.*uint8"):
        ada_augment(x.astype(jnp.uint8), CONTEXT, 0.5)
    with pytest.raises(ValueError, match=r"p: expected a probability in \[0, 1\], got 2"):
        ada_init(2)
    with pytest.raises(ValueError, match="batch: expected a number > 0, got 0"):
        ada_update(ada_init(), jnp.ones(2), batch=0)
