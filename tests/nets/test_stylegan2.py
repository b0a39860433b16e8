"""StyleGAN2's generator: parameter counts, truncation, style mixing, noise, w.

Counts are those of NVlabs/stylegan2-ada-pytorch (training/networks.py), counted in PyTorch for the
configurations `cifar` (32 pixels) and `paper256`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nets.checks import (
    CONTEXT,
    KEY,
    check_devices,
    check_gradients,
    count,
    out_shape,
    shapes,
    sizes,
)
from nets.compiled import compiled

from gan_mtl import nets
from gan_mtl.losses.path_lengths import path_lengths
from gan_mtl.nets.stylegan2 import mix_styles

Z = jax.random.normal(KEY, (4, 6))
STILL = CONTEXT._replace(train=False)
SYNTHESIS = nets.StyleSynthesis((3, 4), 2, (2, 3))
SMALL = nets.StyleGenerator(nets.StyleMapping(5, 2), SYNTHESIS)


@pytest.mark.parametrize(
    ("size", "base", "layers", "mapping", "synthesis", "styles"),
    [(32, 32768, 2, 525312, 19422227, 8), (256, 16384, 8, 2101248, 22666210, 14)],
)
def test_parameters_are_those_of_the_authors_code(size, base, layers, mapping, synthesis, styles):
    generator = nets.style_generator(size, base=base, layers=layers)
    assert generator.synthesis.styles == styles
    assert count(generator.mapping, jnp.ones((1, 512))) == mapping
    assert sizes(generator.synthesis, jnp.ones((1, 512))) == (synthesis, (1, size, size, 3))


def test_conditional_mapping_has_the_authors_parameters():
    assert count(nets.StyleMapping(512, 2), jnp.ones((1, 512)), jnp.ones((1, 10))) == 793088


def test_mapping_is_its_formula_and_tracks_the_mean_of_w():
    network = compiled(nets.StyleMapping(5, 2))
    condition = jnp.eye(4)[:, :3]
    variables = network.init(KEY, Z, condition)
    w, new = network.apply(variables, Z, condition, context=CONTEXT)
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), variables["params"])

    def normalised(x):
        return x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-8)

    y = np.asarray(condition) @ params["embed"]["kernel"] / np.sqrt(3)
    x = np.concatenate([normalised(np.asarray(Z, np.float64)), normalised(y)], axis=1)
    for i in range(2):
        x = x @ params[f"layer_{i}"]["kernel"] * 0.01 / np.sqrt(x.shape[1])
        x = np.sqrt(2) * np.where(x > 0, x, 0.2 * x)
    np.testing.assert_allclose(w, x, rtol=1e-4, atol=1e-5)
    assert not variables["w_average"]["mean"].any()
    np.testing.assert_allclose(new["w_average"]["mean"], 0.005 * x.mean(0), rtol=1e-3, atol=1e-7)


def test_truncation_pulls_towards_the_mean_in_evaluation_only():
    mapping = nets.StyleMapping(5, 1)
    variables = compiled(mapping).init(KEY, Z)
    mean = jnp.arange(5.0)
    variables = {**variables, "w_average": {"mean": mean}}
    w, _ = compiled(mapping).apply(variables, Z, context=STILL)
    short = compiled(mapping.clone(psi=0.7))
    expected = mean[None] + 0.7 * (w - mean[None])
    np.testing.assert_allclose(short.apply(variables, Z, context=STILL)[0], expected, rtol=1e-5)
    np.testing.assert_array_equal(short.apply(variables, Z, context=CONTEXT)[0], w)
    per_layer = nets.truncate(jnp.stack([w, w], axis=1), mean, 0.7)
    np.testing.assert_allclose(per_layer[:, 1], expected, rtol=1e-5)


def test_mixed_styles_change_at_the_crossover():
    first, second = jnp.zeros((3, 2)), jnp.ones((3, 2))
    out = mix_styles(first, second, jnp.array([1, 3, 4]), 4)
    np.testing.assert_array_equal(out[..., 0], [[0, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]])


def test_synthesis_from_w_is_the_generator_without_mixing():
    plain = compiled(SMALL)
    variables = plain.init(KEY, Z)
    assert set(variables["params"]) == {"mapping", "synthesis"}
    images, _ = plain.apply(variables, Z, context=STILL)
    part = {"params": variables["params"]["mapping"], "w_average": {"mean": jnp.zeros(5)}}
    w, _ = compiled(SMALL.mapping).apply(part, Z, context=STILL)
    inner = compiled(SYNTHESIS)
    synthesis = {"params": variables["params"]["synthesis"]}
    from_w, _ = inner.apply(synthesis, w, context=STILL)
    np.testing.assert_allclose(from_w, images, rtol=1e-5, atol=1e-6)  # noise has strength 0
    layers = jnp.repeat(w[:, None], 4, axis=1)
    same, _ = inner.apply(synthesis, layers, context=STILL)
    np.testing.assert_allclose(same, images, rtol=1e-5, atol=1e-6)
    mixed, new = plain.apply(variables, Z, context=CONTEXT)
    assert bool((mixed != images).any()) and set(new) == {"w_average"}
    expected = 0.005 * w.mean(0)  # the other latents do not enter the average
    np.testing.assert_allclose(new["w_average"]["mapping"]["mean"], expected, rtol=1e-4)


def test_noise_belongs_to_the_example_and_has_a_learned_strength():
    network = compiled(SYNTHESIS)
    w = jnp.ones((4, 5))
    variables = network.init(KEY, w)
    equal, _ = network.apply(variables, w, context=STILL)
    np.testing.assert_allclose(equal, jnp.broadcast_to(equal[:1], equal.shape), atol=1e-6)
    variables["params"]["layer_0"]["strength"] = jnp.float32(1.0)
    noisy, _ = network.apply(variables, w, context=STILL)
    assert all(bool((noisy[i] != noisy[j]).any()) for i in range(4) for j in range(i))
    silent, _ = compiled(SYNTHESIS.clone(noise=False)).apply(variables, w, context=STILL)
    np.testing.assert_allclose(silent, equal, atol=1e-5)


def test_path_length_has_a_gradient_and_is_the_mean_over_styles():
    """As many copies of w as styles: their slopes together are less than that of one w for all."""
    init, apply = nets.from_linen(SYNTHESIS)
    w = jax.random.normal(KEY, (2, 5))

    @jax.jit
    def values(w):
        variables = init(KEY, w)

        def lengths(params, w):
            def make(w):
                return apply({"params": params}, w, context=CONTEXT)[0]

            return path_lengths(make, w, CONTEXT).mean()

        copies = jnp.repeat(w[:, None], SYNTHESIS.styles, axis=1)
        own, slopes = jax.value_and_grad(lengths)(variables["params"], copies)
        return own, slopes["up_1"]["conv"]["kernel"], lengths(variables["params"], w)

    own, kernel, together = values(w)
    assert 0 < float(own) < float(together) <= SYNTHESIS.styles * float(own)
    assert bool(jnp.isfinite(kernel).all() & (kernel != 0).any())


def test_gradients_bfloat16_and_devices():
    check_gradients(SMALL, Z)
    narrow = shapes(SYNTHESIS.clone(dtype=jnp.bfloat16), Z)[1]
    assert narrow.dtype == jnp.float32
    check_devices(SMALL, Z)


@pytest.mark.parametrize(("channels", "base"), [(1, (4, 4)), (5, (4, 6))])
def test_any_base_and_channels(channels, base):
    synthesis = nets.StyleSynthesis((3, 3, 3), channels, base)
    assert out_shape(synthesis, Z) == (4, 4 * base[0], 4 * base[1], channels)


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match=r"size=28 is not 4 times a power of two; other sizes"):
        nets.style_generator(28)
    with pytest.raises(ValueError, match=r"w of shape \(4, 3, 6\).*\[n, 4, width\]"):
        compiled(SYNTHESIS).init(KEY, jnp.ones((4, 3, 6)))
    with pytest.raises(ValueError, match=r"mixing=1.5 is outside \[0, 1\]"):
        compiled(SMALL.clone(mixing=1.5)).init(KEY, Z)
