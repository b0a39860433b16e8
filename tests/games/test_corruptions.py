"""Holes where they belong, noise and blur by their laws, draws that belong to an example."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.games import corruptions
from gan_mtl.types import Context

CONTEXT = Context(jax.random.key(5), jnp.zeros((), jnp.int32))
N, SIDE = 24, 12
IMAGES = np.random.default_rng(1).random((N, SIDE, SIDE, 1)).astype(np.float32)
BLACK = np.zeros_like(IMAGES)
ALL = {
    "centre_hole": functools.partial(corruptions.centre_hole, fill=0.5),
    "random_pixels": functools.partial(corruptions.random_pixels, share=0.3),
    "free_form": corruptions.free_form,
    "gaussian_noise": corruptions.gaussian_noise,
    "motion_blur": functools.partial(corruptions.motion_blur, length=3),
    "exposure": functools.partial(corruptions.exposure, gain=(0.5, 2.0)),
}
PARTS = (ALL["centre_hole"], ALL["random_pixels"], ALL["gaussian_noise"], ALL["exposure"])
ALL["one_of"] = functools.partial(corruptions.one_of, corruptions=PARTS)
HOLES = ("centre_hole", "random_pixels", "free_form")


@functools.cache
def compiled(name):
    """One program a corruption, for images of one shape."""
    return jax.jit(lambda images, offset: ALL[name](images, CONTEXT._replace(offset=offset)))


def damaged(name, images=IMAGES, offset=0):
    return corruptions.Damaged(*map(np.asarray, compiled(name)(images, offset)))


@pytest.mark.parametrize("name", ALL)
def test_draws_belong_to_an_example(name):
    """The later half of the batch, as another device sees it, is damaged as in the whole batch."""
    half = damaged(name, np.roll(IMAGES, -N // 2, axis=0), N // 2)
    for part, whole in zip(half, damaged(name), strict=True):
        np.testing.assert_array_equal(part[: N // 2], whole[N // 2 :])


@pytest.mark.parametrize("name", ALL)
def test_what_is_damaged(name):
    images, hole = damaged(name)
    assert images.shape == IMAGES.shape == hole.shape and images.dtype == np.float32
    assert set(np.unique(hole)) <= {0.0, 1.0}
    np.testing.assert_array_equal(images[hole == 0], IMAGES[hole == 0])
    if name in HOLES:
        assert (images[hole == 1] == (name == "centre_hole") / 2).all() and 0 < hole.mean() < 1
    elif name != "one_of":
        assert hole.all()
    if name not in ("gaussian_noise", "one_of"):
        assert images.min() >= 0 and images.max() <= 1
    same = damaged(name, IMAGES[:1].repeat(N, axis=0)).images
    assert len(np.unique(same, axis=0)) > 1 or name == "centre_hole", "every image has its own"


def test_the_hole_in_the_middle():
    wanted = np.zeros((SIDE, SIDE))
    wanted[3:9, 3:9] = 1
    hole = damaged("centre_hole").hole[..., 0]
    np.testing.assert_array_equal(hole, np.broadcast_to(wanted, hole.shape))


def test_lost_pixels_are_as_many_as_said():
    """3,456 draws: three standard errors are 0.024."""
    np.testing.assert_allclose(damaged("random_pixels").hole.mean(), 0.3, atol=0.024)


def test_a_brush_covers_what_is_near_its_line():
    points = jnp.array([[0.0, 0.0], [3.0, 4.0], [-3.0, 0.0], [0.0, 9.0]])
    found = jax.jit(corruptions._distances)(
        points, jnp.array([[0.0, 0.0], [2.0, 2.0]]), jnp.array([[0.0, 5.0], [0.0, 0.0]])
    )
    wanted = [[0.0, 8**0.5], [3.0, 5**0.5], [3.0, 29**0.5], [4.0, 53**0.5]]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_strokes_are_of_the_brush_s_size():
    """Two strokes of four pieces: at least the brush, at most its way along all of them."""
    share = damaged("free_form").hole.mean(axis=(1, 2, 3))
    assert share.max() < 2 * 0.18 * (4 * 0.4 + 0.18) and 0.03 < share.mean() < 0.4


def test_noise_has_its_variance_and_no_bias():
    noise = damaged("gaussian_noise", BLACK).images
    assert abs(noise.mean()) < 0.03 and abs(noise.std() - 0.5) < 0.02 and noise.min() < -1


def test_blur_is_a_line_of_equal_weights():
    point = BLACK.copy()
    point[:, 3, 3] = 1.0
    wanted = {
        tuple(sorted([(3 - y, 3 - x), (3, 3), (3 + y, 3 + x)]))
        for y, x in ((0, 1), (1, 1), (1, 0), (1, -1))
    }
    seen = set()
    for line in damaged("motion_blur", point).images[..., 0]:
        places = tuple(map(tuple, np.argwhere(line > 0).tolist()))
        np.testing.assert_allclose([line[p] for p in places], 1 / 3, rtol=1e-6)
        seen.add(places)
    assert seen == wanted, "all four directions, and nothing else"


def test_exposure_keeps_black_and_order_and_has_a_gradient():
    grey = np.broadcast_to(np.linspace(0, 1, SIDE, dtype=np.float32)[:, None], IMAGES.shape[1:3])
    grey = np.ascontiguousarray(np.broadcast_to(grey.T[None, :, :, None], IMAGES.shape))
    shown = damaged("exposure", grey).images[:, 0, :, 0]
    assert (shown[:, 0] == 0).all() and (np.diff(shown, axis=1) >= 0).all()
    assert shown[:, -1].min() > 0.49, "the gain"
    # g x^gamma at two greys gives gamma, where neither is cut off
    low, high = shown[:, 1], shown[:, 3]
    free = high < 0.999
    gammas = np.log(high / low)[free] / np.log(3)
    assert free.sum() > 10 and gammas.min() > 0.3 - 1e-3 and gammas.max() < 3 + 1e-3
    assert gammas.min() < 0.8 < 1.5 < gammas.max()
    slope = jax.jit(jax.grad(lambda x: compiled("exposure")(x, 0).images.sum()))(grey)
    assert np.isfinite(slope).all()


def test_one_of_several_is_drawn():
    hole = damaged("one_of").hole.mean(axis=(1, 2, 3))
    assert 6 <= (hole == 1).sum() <= 18 and (hole == 0.25).any(), "half of the kinds are of holes"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (functools.partial(corruptions.centre_hole, share=1.0), r"share=1\.0: it is a part of"),
        (functools.partial(corruptions.random_pixels, share=0), "random_pixels: share=0"),
        (functools.partial(corruptions.free_form, strokes=0), "strokes=0, corners=4"),
        (functools.partial(corruptions.gaussian_noise, sigma=0), "sigma=0: it must be above 0"),
        (functools.partial(corruptions.motion_blur, length=4), "length=4: give an odd number"),
        (functools.partial(corruptions.exposure, gamma=(3, 1)), r"gamma=\(3, 1\): give 0 < low"),
        (functools.partial(corruptions.one_of, corruptions=()), "give one or more"),
    ],
)
def test_errors_name_value_and_remedy(call, message):
    with pytest.raises(ValueError, match=message):
        call(jnp.asarray(IMAGES), CONTEXT)
