"""Class-conditional losses: brute-force loops in float64, signs, devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.losses.conditional import (
    conditional_contrastive,
    crammer_singer,
    data_to_data,
    multi_hinge_disc,
    multi_hinge_gen,
)

RNG = np.random.default_rng(0)
N, D, K = 16, 5, 3
EMBEDDINGS, PROXIES = RNG.normal(size=(2, N, D))
LABELS = RNG.integers(0, K, size=N)
LOGITS, OTHERS = RNG.normal(size=(2, N, K + 1)) * 2


def cosine(a, b):
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def hinge(logits, label):
    wrong = max(value for j, value in enumerate(logits) if j != label)
    return max(0.0, 1 + wrong - logits[label])


def contrastive(embeddings, proxies, labels, temperature):
    values = []
    for i in range(len(labels)):
        top = bottom = np.exp(cosine(embeddings[i], proxies[i]) / temperature)
        for j in range(len(labels)):
            if j != i:
                term = np.exp(cosine(embeddings[i], embeddings[j]) / temperature)
                bottom += term
                top += term * (labels[j] == labels[i])
        values.append(-np.log(top / bottom))
    return np.array(values)


def cross_entropy(embeddings, proxies, labels, temperature, m_p, m_n):
    values = []
    for i in range(len(labels)):
        positive = np.exp(min(cosine(embeddings[i], proxies[i]) - m_p, 0) / temperature)
        negative = sum(
            np.exp(max(cosine(embeddings[i], embeddings[j]) - m_n, 0) / temperature)
            for j in range(len(labels))
            if labels[j] != labels[i]
        )
        values.append(-np.log(positive / (positive + negative)))
    return np.array(values)


def test_hinge_values():
    with jax.enable_x64(True):
        real, fake, labels = jnp.array(LOGITS), jnp.array(OTHERS), jnp.array(LABELS)
        want = [hinge(row, y) for row, y in zip(LOGITS, LABELS, strict=True)]
        np.testing.assert_allclose(crammer_singer(real, labels), want, rtol=1e-12)
        both = [a + hinge(row, K) for a, row in zip(want, OTHERS, strict=True)]
        np.testing.assert_allclose(multi_hinge_disc(real, labels, fake), both, rtol=1e-12)
        gen = [hinge(row, y) for row, y in zip(OTHERS, LABELS, strict=True)]
        np.testing.assert_allclose(multi_hinge_gen(fake, labels), gen, rtol=1e-12)


def test_hinge_gradients_move_the_right_logit_up_and_the_best_wrong_one_down():
    logits = jnp.array([[0.0, 0.5, 0.2], [9.0, 0.5, 0.2]])
    slope = jax.grad(lambda x: crammer_singer(x, jnp.array([0, 0])).sum())(logits)
    np.testing.assert_allclose(slope, [[-1, 1, 0], [0, 0, 0]])


def test_players_of_the_hinge_game_want_what_they_should():
    fake = jnp.zeros((1, 3))
    by_disc = jax.grad(lambda f: multi_hinge_disc(fake, jnp.array([1]), f).sum())(fake)
    by_gen = jax.grad(lambda f: multi_hinge_gen(f, jnp.array([1])).sum())(fake)
    assert by_disc[0, 2] < 0 < by_disc[0, :2].sum()  # "fake" up, classes down
    assert by_gen[0, 1] < 0 < by_gen[0, 2]


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_2c_against_loops(temperature):
    with jax.enable_x64(True):
        got = conditional_contrastive(
            jnp.array(EMBEDDINGS), jnp.array(PROXIES), jnp.array(LABELS), temperature=temperature
        )
    want = contrastive(EMBEDDINGS, PROXIES, LABELS, temperature)
    np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.parametrize(("m_p", "m_n"), [(0.98, None), (0.2, 0.4), (1.0, -0.5)])
def test_d2d_against_loops(m_p, m_n):
    with jax.enable_x64(True):
        got = data_to_data(
            jnp.array(EMBEDDINGS), jnp.array(PROXIES), jnp.array(LABELS), m_p=m_p, m_n=m_n
        )
    want = cross_entropy(EMBEDDINGS, PROXIES, LABELS, 0.5, m_p, 1 - m_p if m_n is None else m_n)
    np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.parametrize("loss", [conditional_contrastive, data_to_data])
def test_devices_equal_one_in_value_and_gradient(loss):
    """Negatives are of all devices: values and the averaged gradient are those of one device."""
    x, proxies, labels = jnp.float32(EMBEDDINGS), jnp.float32(PROXIES), jnp.array(LABELS)
    w = jnp.eye(D) + 0.1 * jnp.float32(RNG.normal(size=(D, D)))

    def mean(w, x, proxies, labels, axis_name):
        values = loss(x @ w, proxies, labels, axis_name)
        return values.mean(), values

    (_, want), slope = jax.value_and_grad(mean, has_aux=True)(w, x, proxies, labels, None)
    mapped = jax.pmap(
        lambda w, *batch: jax.value_and_grad(mean, has_aux=True)(w, *batch, "i"),
        axis_name="i",
        in_axes=(None, 0, 0, 0),
    )
    (_, got), slopes = mapped(w, x.reshape(8, 2, D), proxies.reshape(8, 2, D), labels.reshape(8, 2))
    np.testing.assert_allclose(got.reshape(N), want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slopes.mean(axis=0), slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", [conditional_contrastive, data_to_data])
def test_scale_of_embeddings_does_not_enter_and_classes_separate(loss):
    x = jnp.float32(EMBEDDINGS)
    values = loss(x, jnp.float32(PROXIES), jnp.array(LABELS))
    np.testing.assert_allclose(
        loss(7 * x, jnp.float32(PROXIES) / 3, jnp.array(LABELS)), values, rtol=1e-5
    )
    corners = jax.nn.one_hot(LABELS, K)
    assert loss(corners, corners, jnp.array(LABELS)).mean() < values.mean()
    assert (values >= 0).all()


def test_2c_of_one_class_is_zero():
    values = conditional_contrastive(
        jnp.float32(EMBEDDINGS), jnp.float32(PROXIES), jnp.zeros(N, jnp.int32)
    )
    np.testing.assert_allclose(values, 0, atol=1e-6)


def test_d2d_drops_the_gradient_of_easy_examples():
    corners, labels = jnp.eye(3), jnp.arange(3)
    slope = jax.grad(lambda x: data_to_data(x, corners, labels, m_p=0.9).sum())(corners)
    np.testing.assert_allclose(slope, 0, atol=1e-7)


@pytest.mark.parametrize("loss", [conditional_contrastive, data_to_data])
@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_finite_where_embeddings_are_zero_and_classes_alone(loss, labels):
    x = jnp.zeros((3, 2)).at[0, 0].set(1.0)
    grad = jax.grad(functools.partial(lambda x, y: loss(x, x + 0.5, y).sum(), y=jnp.array(labels)))
    assert jnp.isfinite(grad(x)).all()


def test_bad_input_is_named():
    x, y = jnp.ones((3, 2)), jnp.zeros(3, jnp.int32)
    with pytest.raises(ValueError, match=r"labels.*\(3,\).*\(2,\)"):
        crammer_singer(x, y[:2])
    with pytest.raises(TypeError, match="labels: expected integer"):
        crammer_singer(x, jnp.ones(3))
    with pytest.raises(ValueError, match="at least two classes"):
        crammer_singer(x[:, :1], y)
    with pytest.raises(ValueError, match="real_logits and fake_logits"):
        multi_hinge_disc(x, y, x[:2])
    assert jnp.isnan(crammer_singer(x, jnp.array([0, 2, -1]))).tolist() == [False, True, True]
    for loss in (conditional_contrastive, data_to_data):
        with pytest.raises(ValueError, match="embeddings and proxies"):
            loss(x, x[:, :1], y)
        with pytest.raises(ValueError, match="temperature: expected a number > 0, got 0"):
            loss(x, x, y, temperature=0)
    with pytest.raises(ValueError, match="m_n: expected a cosine"):
        data_to_data(x, x, y, m_n=2.0)
