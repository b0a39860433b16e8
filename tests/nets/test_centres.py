"""Boxes from heat maps: decoding and suppression against loops, in one call for any batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import CONTEXT, KEY, check_bfloat16, check_gradients, shapes

from gan_mtl import nets
from gan_mtl.losses.centres import centre_loss, centre_targets
from gan_mtl.nets.centres import Detections, box_iou, decode_centres, suppress

RNG = np.random.default_rng(8)
SIZE, K = (24, 32), 3


def iou(a, b):
    w = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    h = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = sum((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)) - w * h
    return w * h / union if union > 0 else 0.0


def greedy(boxes, classes, overlap):
    """Kept boxes, of boxes in the order of their scores."""
    kept = []
    for i, c in enumerate(classes):
        rivals = [j for j in kept if classes[j] == c]
        if c >= 0 and not any(iou(boxes[i], boxes[j]) > overlap for j in rivals):
            kept.append(i)
    return kept


def some(n, m, rng=RNG):
    low = rng.uniform(0, 20, (n, m, 2))
    boxes = np.concatenate([low, low + rng.uniform(0, 12, (n, m, 2))], axis=-1)
    scores = -np.sort(-rng.uniform(size=(n, m)), axis=1)
    classes = rng.integers(-1, K, (n, m))
    return Detections(*(jnp.asarray(x) for x in (boxes.astype(np.float32), scores, classes)))


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 40)])
def test_suppression_is_that_of_a_plain_loop(n, m, overlap):
    found = some(n, m)
    left = jax.jit(lambda x: suppress(x, overlap))(found)
    for i in range(n):
        kept = greedy(np.asarray(found.boxes[i]), np.asarray(found.classes[i]), overlap)
        np.testing.assert_array_equal(np.flatnonzero(left.classes[i] >= 0), kept)
        left_of, were = np.asarray(left.classes[i]), np.asarray(found.classes[i])
        np.testing.assert_array_equal(left_of[kept], were[kept])


def test_iou_of_all_pairs():
    a, b = some(1, 6).boxes[0], some(1, 5).boxes[0]
    expected = [[iou(x, y) for y in np.asarray(b)] for x in np.asarray(a)]
    np.testing.assert_allclose(box_iou(a, b), expected, atol=1e-6)
    np.testing.assert_array_equal(box_iou(jnp.zeros((1, 4)), jnp.zeros((1, 4))), 0.0)


def test_outputs_that_say_the_targets_give_the_objects_back():
    objects = np.array([[[0, 0, 12, 12, 1], [20, 4, 30, 20, 0], [0, 0, 0, 0, -1]]], np.float32)
    target = centre_targets(jnp.asarray(objects), K, (6, 8), SIZE)
    outputs = np.zeros((1, 6, 8, K + 4), np.float32)
    likely = np.clip(target.heat, 1e-4, 0.99)
    outputs[..., :K] = np.log(likely / (1 - likely))
    for j in range(2):
        y, x = divmod(int(target.places[0, j]), 8)
        outputs[0, y, x, K:] = [*target.offsets[0, j], *target.sizes[0, j]]
    found = jax.jit(lambda x: decode_centres(x, SIZE, most=10, least=0.5))(jnp.asarray(outputs))
    assert (found.classes[0] >= 0).sum() == 2
    for x0, y0, x1, y1, c in objects[0, :2]:
        (at,) = np.flatnonzero(np.asarray(found.classes[0]) == c)
        np.testing.assert_allclose(found.boxes[0, at], [x0, y0, x1, y1], atol=1e-4)
        assert float(found.scores[0, at]) == pytest.approx(0.99, abs=1e-4)


def test_any_batch_in_one_call_and_only_peaks_are_centres():
    outputs = jnp.asarray(RNG.normal(size=(4, 6, 8, K + 4)), jnp.float32)
    whole = decode_centres(outputs, SIZE, most=20, overlap=None)
    heat = 1 / (1 + np.exp(-np.asarray(outputs[..., :K], np.float64)))
    for i in range(4):
        single = decode_centres(outputs[i : i + 1], SIZE, most=20, overlap=None)
        for a, b in zip(single, whole, strict=True):
            np.testing.assert_allclose(a[0], b[i], atol=1e-5)
        peaks = []
        for y, x, c in np.ndindex(6, 8, K):
            around = heat[i, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2, c]
            if heat[i, y, x, c] == around.max():
                peaks.append((heat[i, y, x, c], c))
        peaks = sorted(peaks, reverse=True)[:20]
        np.testing.assert_allclose(whole.scores[i][: len(peaks)], [p for p, _ in peaks], rtol=1e-5)
        np.testing.assert_array_equal(whole.classes[i][: len(peaks)], [c for _, c in peaks])
    assert bool((whole.boxes >= 0).all()) and bool((whole.boxes[..., 2:] <= 32).all())


def test_the_head_begins_at_its_prior():
    head = nets.CentreHead(K, 16)
    maps = (0.0 * jax.random.normal(KEY, (2, 6, 8, 4)),)
    init, apply = nets.from_linen(head)
    outputs, _ = apply(init(KEY, maps), maps, context=CONTEXT)
    np.testing.assert_allclose(jax.nn.sigmoid(outputs[..., :K]), 0.1, rtol=1e-5)
    np.testing.assert_array_equal(outputs[..., K:], 0.0)


def test_a_head_may_leave_out_the_finest_maps():
    maps = (jax.random.normal(KEY, (2, 6, 8, 4)), jax.random.normal(KEY, (2, 3, 4, 6)))
    whole, coarse = nets.CentreHead(K, 16), nets.CentreHead(K, 16, skip=1)
    variables = coarse.init(KEY, maps, context=CONTEXT)
    found = coarse.apply(variables, maps, context=CONTEXT)
    np.testing.assert_array_equal(found, whole.apply(variables, maps[1:], context=CONTEXT))
    with pytest.raises(ValueError, match=r"CentreHead: skip=2 of 2 maps"):
        shapes(nets.CentreHead(K, 16, skip=2), maps)


def test_gradients_and_bfloat16():
    maps = (jax.random.normal(KEY, (2, 6, 8, 4)), jax.random.normal(KEY, (2, 3, 4, 6)))
    check_gradients(nets.CentreHead(K, 16), maps)
    check_bfloat16(nets.CentreHead(K, 16), maps)
    _, out = shapes(nets.CentreHead(K, 16), maps)
    objects = jnp.full((2, 1, 5), -1.0)
    assert jax.eval_shape(lambda x: centre_loss(x, objects, SIZE).values, out).shape == (2,)
