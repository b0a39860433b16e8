"""Images and masks that move together, before every turn of a game."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.games import augmented, crop_and_flip
from gan_mtl.types import Context, Game, Loss, Outcome, Turn, Variables

CONTEXT = Context(jax.random.key(3), jnp.zeros((), jnp.int32))
N, H, W = 64, 5, 7


def batch(n=N):
    """Every pixel says where it was: rows and columns in the image, one number in the mask."""
    rows, columns = np.indices((H, W))
    image = np.stack([rows, columns], axis=-1).astype(np.float32)
    return {
        "images": np.tile(image, (n, 1, 1, 1)),
        "mask": np.tile((rows * W + columns).astype(np.uint8), (n, 1, 1)),
        "labels": np.arange(n),
    }


def test_windows_lie_anywhere_and_masks_go_along():
    found = crop_and_flip(batch(), CONTEXT, size=(3, 4))
    images, mask = np.asarray(found["images"]), np.asarray(found["mask"])
    assert images.shape == (N, 3, 4, 2) and mask.shape == (N, 3, 4) and mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, images[..., 0] * W + images[..., 1])
    np.testing.assert_array_equal(np.diff(images[..., 0], axis=1), 1)
    steps = np.diff(images[..., 1], axis=2)
    mirrored = steps[:, 0, 0] == -1
    assert 0.3 < mirrored.mean() < 0.7
    np.testing.assert_array_equal(steps, np.where(mirrored, -1, 1)[:, None, None] + 0 * steps)
    assert set(images[:, 0, 0, 0]) == {0, 1, 2} and set(images[..., 1].min((1, 2))) == {0, 1, 2, 3}
    np.testing.assert_array_equal(found["labels"], np.arange(N))


def test_without_flip_the_whole_size_is_the_identity():
    found = crop_and_flip(batch(4), CONTEXT, size=(H, W), flip=False)
    for name, value in batch(4).items():
        np.testing.assert_array_equal(found[name], value)


def test_zoomed_windows_are_resampled_and_masks_are_of_the_nearest_pixel():
    found = jax.jit(lambda b: crop_and_flip(b, CONTEXT, size=(3, 4), zoom=(0.75, 2.0)))(batch())
    images, mask = np.asarray(found["images"], np.float64), np.asarray(found["mask"])
    rows, columns = images[:, :, :1, 0], images[:, :1, :, 1]
    # Between four pixels of a ramp lies the place itself: what is seen says where it was.
    np.testing.assert_allclose(images[..., 0], rows + 0 * columns, atol=1e-5)
    np.testing.assert_allclose(images[..., 1], columns + 0 * rows, atol=1e-5)
    steps = np.diff(rows[:, :, 0], axis=1)
    z = 1 / steps.max(axis=1)  # the edge's pixels are repeated where a window ends between them
    assert (z > 0.75 - 1e-5).all() and (z < 2 + 1e-5).all() and z.min() < 1 < 1.5 < z.max()
    sure = np.abs(images % 1 - 0.5).min(axis=-1) > 1e-3
    nearest = np.rint(images[..., 0]) * W + np.rint(images[..., 1])
    np.testing.assert_array_equal(mask[sure], nearest[sure])
    assert mask.dtype == np.uint8 and sure.mean() > 0.9
    assert images[..., 0].min() == 0 and images[..., 0].max() == H - 1
    assert 0.3 < (np.diff(columns[:, 0], axis=1)[:, 1] < 0).mean() < 0.7


@pytest.mark.parametrize("zoom", [(1.0, 1.0), (0.8, 1.5)])
def test_draws_belong_to_examples(zoom):
    whole = crop_and_flip(batch(8), CONTEXT, size=(3, 4), zoom=zoom)
    part = {k: v[1::2] for k, v in batch(8).items()}
    second = crop_and_flip(part, CONTEXT._replace(stride=2, offset=1), size=(3, 4), zoom=zoom)
    np.testing.assert_array_equal(second["images"], whole["images"][1::2])


def test_every_turn_sees_changed_batches_of_its_own():
    seen = {}

    def losses(name, variables, batch, context):
        seen[name] = batch
        return Outcome({"x": Loss(batch["images"].mean(axis=(1, 2, 3)))}, variables)

    turns = tuple(Turn(n, functools.partial(losses, n), {}, None) for n in ("disc", "model"))
    game = augmented(Game(None, turns), functools.partial(crop_and_flip, size=(3, 4)))
    for turn in game.turns:
        turn.losses(Variables({}, {}), batch(), CONTEXT)
    assert seen["disc"]["images"].shape == seen["model"]["images"].shape == (N, 3, 4, 2)
    assert not np.array_equal(seen["disc"]["images"], seen["model"]["images"])


def test_what_cannot_be_cut_is_refused_by_name():
    with pytest.raises(ValueError, match=r"no entry 'mask'; it has \['images'\]"):
        crop_and_flip({"images": batch()["images"]}, CONTEXT, size=(3, 4))
    with pytest.raises(ValueError, match=r"'mask': \(4, 7\)"):
        crop_and_flip({**batch(), "mask": batch()["mask"][:, 1:]}, CONTEXT, size=(3, 4))
    for size in ((6, 4), (0, 4)):
        with pytest.raises(ValueError, match=r"is no window of images of 5x7 pixels"):
            crop_and_flip(batch(), CONTEXT, size=size)
    for zoom in ((0.5, 1.0), (1.5, 1.2)):
        with pytest.raises(ValueError, match=r"least z first, at least 0.6, .* 5x7 pixels"):
            crop_and_flip(batch(), CONTEXT, size=(3, 4), zoom=zoom)
