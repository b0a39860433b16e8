"""CenterNet's targets and loss against loops over objects and places."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses import centres

centre_targets = jax.jit(centres.centre_targets, static_argnums=(1, 2, 3))
centre_loss = jax.jit(centres.centre_loss, static_argnums=2)
gaussian_radius = jax.jit(centres.gaussian_radius)

RNG = np.random.default_rng(5)
SIZE, PLACES, K = (24, 32), (6, 8), 3
OBJECTS = np.array(
    [
        [[0, 0, 12, 12, 1], [20, 4, 30, 20, 1], [18, 6, 30, 22, 2]],
        [[31, 23, 32, 24, 0], [0, 0, 0, 0, -1], [0, 0, 0, 0, -1]],
        [[0, 0, 0, 0, -1]] * 3,
    ],
    np.float32,
)


def iou(a, b):
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    area = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return shared / (sum(area) - shared)


@pytest.mark.parametrize(("h", "w"), [(10.0, 10.0), (4.0, 30.0), (1.0, 2.0)])
def test_the_radius_is_where_the_worst_box_has_the_overlap(h, w):
    r = float(gaussian_radius(jnp.float32(h), jnp.float32(w), 0.7))
    box = (0, 0, w, h)
    moves = [(r, r, w + r, h + r), (r, r, w - r, h - r), (-r, -r, w + r, h + r)]
    assert min(iou(box, moved) for moved in moves) == pytest.approx(0.7, abs=1e-4)


def by_hand(objects):
    """Heat [h, w, k] and (place, offset, size) of each object, by loops."""
    heat, rows = np.zeros((*PLACES, K)), []
    for x0, y0, x1, y1, c in objects:
        if c < 0:
            continue
        x0, x1 = x0 * PLACES[1] / SIZE[1], x1 * PLACES[1] / SIZE[1]
        y0, y1 = y0 * PLACES[0] / SIZE[0], y1 * PLACES[0] / SIZE[0]
        cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
        px, py = min(int(cx), PLACES[1] - 1), min(int(cy), PLACES[0] - 1)
        r = int(gaussian_radius(jnp.float32(y1 - y0), jnp.float32(x1 - x0), 0.7))
        sigma = (2 * r + 1) / 6
        for y in range(PLACES[0]):
            for x in range(PLACES[1]):
                if abs(x - px) <= r and abs(y - py) <= r:
                    value = np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
                    heat[y, x, int(c)] = max(heat[y, x, int(c)], value)
        rows.append((py, px, (cx - px, cy - py), (x1 - x0, y1 - y0)))
    return heat, rows


def test_targets_are_those_of_loops_over_objects():
    target = centre_targets(jnp.asarray(OBJECTS), K, PLACES, SIZE)
    for i, objects in enumerate(OBJECTS):
        heat, rows = by_hand(objects)
        np.testing.assert_allclose(target.heat[i], heat, atol=1e-6)
        assert int(target.there[i].sum()) == len(rows)
        for j, (y, x, offset, size) in enumerate(rows):
            assert int(target.places[i, j]) == y * PLACES[1] + x
            np.testing.assert_allclose(target.offsets[i, j], offset, atol=1e-6)
            np.testing.assert_allclose(target.sizes[i, j], size, atol=1e-6)


def test_the_loss_is_the_sum_over_places_by_the_number_of_objects():
    outputs = RNG.normal(size=(3, *PLACES, K + 4))
    found = centre_loss(jnp.asarray(outputs, jnp.float32), jnp.asarray(OBJECTS), SIZE).values
    for i, objects in enumerate(OBJECTS):
        heat, rows = by_hand(objects)
        p = 1 / (1 + np.exp(-outputs[i, ..., :K]))
        hit = (1 - p) ** 2 * np.log(p)
        miss = (1 - heat) ** 4 * p**2 * np.log(1 - p)
        total = -np.where(heat == 1, hit, miss).sum()
        for y, x, offset, size in rows:
            rest = outputs[i, y, x, K:]
            total += np.abs(rest[:2] - offset).sum() + 0.1 * np.abs(rest[2:] - size).sum()
        assert float(found[i]) == pytest.approx(total / max(len(rows), 1), rel=1e-4)


def test_the_loss_is_least_where_the_outputs_say_the_objects():
    """And its gradient is finite at certain outputs, right and wrong ones."""
    objects = OBJECTS.copy()
    objects[0, 2] = [2, 14, 10, 24, 2]  # a place has one box only
    target = centre_targets(jnp.asarray(objects), K, PLACES, SIZE)
    outputs = np.zeros((3, *PLACES, K + 4), np.float32)
    outputs[..., :K] = np.where(np.asarray(target.heat) == 1, 50.0, -50.0)
    for i in range(3):
        for j in range(3):
            if target.there[i, j]:
                y, x = divmod(int(target.places[i, j]), PLACES[1])
                outputs[i, y, x, K:] = [*target.offsets[i, j], *target.sizes[i, j]]

    def loss(x):
        return centre_loss(x, jnp.asarray(objects), SIZE).values

    np.testing.assert_allclose(loss(jnp.asarray(outputs)), 0.0, atol=1e-5)
    for sure in (outputs, -outputs):
        gradient = jax.grad(lambda x: loss(x).sum())(jnp.asarray(sure))
        assert bool(jnp.isfinite(gradient).all())


def test_padding_changes_nothing():
    outputs = jnp.asarray(RNG.normal(size=(3, *PLACES, K + 4)), jnp.float32)
    more = np.concatenate([OBJECTS, np.tile(OBJECTS[2:, :1], (3, 4, 1))], axis=1)
    few = centre_loss(outputs, jnp.asarray(OBJECTS), SIZE)
    many = centre_loss(outputs, jnp.asarray(more), SIZE)
    np.testing.assert_allclose(few.values, many.values, rtol=1e-6)
    np.testing.assert_array_equal(many.mask, 1.0)


def test_hidden_objects_teach_nothing():
    hidden = OBJECTS.copy()
    hidden[0, :, 4] = centres.HIDDEN_OBJECTS
    outputs = jnp.asarray(RNG.normal(size=(3, *PLACES, K + 4)), jnp.float32)
    found = centre_loss(outputs, jnp.asarray(hidden), SIZE)
    np.testing.assert_array_equal(found.mask, [0.0, 1.0, 1.0])
    slope = jax.grad(lambda x: centre_loss(x, jnp.asarray(hidden), SIZE).values.sum())
    assert not bool(slope(outputs)[0].any()) and bool(slope(outputs)[2].any())


@pytest.mark.parametrize(
    "row",
    [
        (1, 1, 5, 5, K),
        (1, 1, 5, 5, 0.5),
        (1, 1, 5, 5, -3),
        (5, 1, 5, 5, 0),
        (1, 6, 5, 5, 0),
        (1, np.nan, 5, 5, 0),
    ],
)
def test_a_fault_in_the_objects_is_seen_in_the_loss_of_its_image(row):
    """Which then stops the run, instead of teaching that nothing is there."""
    objects = OBJECTS.copy()
    objects[1, 0] = row
    outputs = jnp.asarray(RNG.normal(size=(3, *PLACES, K + 4)), jnp.float32)
    values = centre_loss(outputs, jnp.asarray(objects), SIZE).values
    assert jnp.isnan(values).tolist() == [False, True, False]


def test_a_box_that_leaves_the_image_is_asked_for_at_the_nearest_place():
    outside = np.array([[[-9, 3, -1, 7, 0]], [[1, 1, 999, 5, 2]], [[0, 0, 0, 0, -1]]], np.float32)
    target = centre_targets(jnp.asarray(outside), K, PLACES, SIZE)
    columns = np.asarray(target.places[:2, 0]) % PLACES[1]
    assert columns.tolist() == [0, PLACES[1] - 1]
    assert np.asarray(target.heat).max(axis=(1, 2, 3)).tolist() == [1, 1, 0]
    outputs = jnp.asarray(RNG.normal(size=(3, *PLACES, K + 4)), jnp.float32)
    found = centre_loss(outputs, jnp.asarray(outside), SIZE)
    assert bool(jnp.isfinite(found.values).all()) and found.mask.tolist() == [1, 1, 1]


def test_objects_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"objects: expected shape \(3, m, 5\).*got \(3, 4\)"):
        centres.centre_loss(jnp.zeros((3, 2, 2, 7)), jnp.zeros((3, 4)), SIZE)
