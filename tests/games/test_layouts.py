"""Objects at new places: maps, boxes and tags agree, nothing is lost, hidden ones stay."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.games import layouts
from gan_mtl.types import Context

CONTEXT = Context(jax.random.key(3), jnp.zeros((), jnp.int32))
H, W, N = 9, 7, 12


def scenes():
    """Two objects each, on maps of 9x7: an L of class 2 and a bar of class 0; a padding row."""
    mask = np.zeros((N, H, W), np.uint8)
    mask[:, 1:4, 2] = mask[:, 3, 2:5] = 3
    mask[:, 6, 1:5] = 1
    rows = [[2, 1, 5, 4, 2], [1, 6, 5, 7, 0], [0, 0, 0, 0, -1]]
    objects = np.tile(np.array(rows, np.float32), (N, 1, 1))
    present = np.tile(np.array([1, 0, 1], np.int32), (N, 1))
    return {name: jnp.asarray(x) for name, x in zip(NAMES, (mask, objects, present), strict=True)}


NAMES = ("mask", "objects", "present")
rearranged = jax.jit(layouts.rearranged)


def tight(pixels):
    y, x = np.nonzero(pixels)
    return [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_boxes_and_tags_are_those_of_the_new_map():
    found = {name: np.asarray(x) for name, x in rearranged(scenes(), CONTEXT).items()}
    assert {name: (x.shape, x.dtype) for name, x in found.items()} == {
        name: (x.shape, x.dtype) for name, x in scenes().items()
    }
    for mask, objects, present in zip(*(found[name] for name in NAMES), strict=True):
        assert set(np.unique(mask)) <= {0, 1, 3}
        for row in objects[:2]:
            assert tight(mask == row[4] + 1) == row[:4].tolist()
        assert objects[2].tolist() == [0, 0, 0, 0, -1]
        assert present.tolist() == [1, 0, 1]


def test_objects_keep_their_shape_and_go_everywhere():
    found = rearranged(scenes(), CONTEXT)
    corners = {tuple(row[:2].tolist()) for row in np.asarray(found["objects"][:, 1])}
    assert len(corners) > 5
    mask, bar = np.asarray(found["mask"]), np.asarray(found["objects"][:, 1])
    assert ((mask == 1).sum((1, 2)) == 4).all()  # the bar lies above the L
    assert ((bar[:, 2] - bar[:, 0] == 4) & (bar[:, 3] - bar[:, 1] == 1)).all()
    assert ((mask == 3).sum((1, 2)) >= 4).all()
    again = rearranged(scenes(), CONTEXT)
    jax.tree.map(np.testing.assert_array_equal, found, again)


def test_a_hidden_object_is_none_and_leaves_the_tags():
    small = {
        "mask": jnp.array([[[1, 1]]], jnp.uint8),
        "objects": jnp.array([[[0, 0, 2, 1, 0], [0, 0, 2, 1, 1]]], jnp.float32),
        "present": jnp.array([[1, 1]]),
    }
    found = layouts.rearranged(small, CONTEXT)
    assert found["objects"][0].tolist() == [[0, 0, 2, 1, 0], [0, 0, 0, 0, -1]]
    assert found["present"][0].tolist() == [1, 0] and found["mask"].tolist() == [[[1, 1]]]


def test_what_is_hidden_stays_hidden():
    pairs = scenes()
    pairs["mask"] = pairs["mask"].at[0].set(255)
    pairs["objects"] = pairs["objects"].at[1, :, 4].set(-2)
    found = rearranged(pairs, CONTEXT)
    for i in (0, 1):
        for name in NAMES:
            np.testing.assert_array_equal(found[name][i], pairs[name][i])


def test_errors_name_the_targets():
    pairs = scenes()
    with pytest.raises(ValueError, match=r"rearranged: pairs of \['mask', 'present'\]; it takes"):
        layouts.rearranged({name: pairs[name] for name in ("mask", "present")}, CONTEXT)
