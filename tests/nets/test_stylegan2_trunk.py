"""StyleGAN2's discriminator: parameter counts, groups, gradients of gradients.

Counts are those of NVlabs/stylegan2-ada-pytorch (training/networks.py), counted in PyTorch.
"""

import jax
import jax.numpy as jnp
import pytest
from nets.checks import (
    CONTEXT,
    KEY,
    check_bfloat16,
    check_gradients,
    count,
    out_shape,
    sizes,
)
from nets.compiled import compiled

from gan_mtl import nets

X = jax.random.normal(KEY, (4, 4, 6, 2))
SMALL = nets.StyleTrunk((3, 4), 2)


@pytest.mark.parametrize(("size", "base", "disc"), [(32, 32768, 21507073), (256, 16384, 24001089)])
def test_parameters_are_those_of_the_authors_code(size, base, disc):
    trunk = nets.style_trunk(size, base=base)
    assert sizes(trunk, jnp.ones((4, size, size, 3))) == (disc - 513, (4, 512))
    assert count(nets.StyleHead(), jnp.ones((1, 512))) == 513


def test_conditional_head_has_the_authors_parameters():
    head = count(nets.StyleHead(10), jnp.ones((1, 512)), jnp.zeros(1, int))
    assert head == 23876096 - (21507073 - 513)


def test_only_the_group_mixes_examples():
    network = compiled(SMALL)
    variables = network.init(KEY, X)
    features, _ = network.apply(variables, X, context=CONTEXT)
    moved, _ = network.apply(variables, X.at[0].add(1.0), context=CONTEXT)
    changed = (moved != features).any(axis=1)
    assert changed.tolist() == [True, True, False, False]
    alone = compiled(SMALL.clone(group_size=0))
    variables = alone.init(KEY, X)
    features, _ = alone.apply(variables, X, context=CONTEXT)
    moved, _ = alone.apply(variables, X.at[0].add(1.0), context=CONTEXT)
    assert (moved != features).any(axis=1).tolist() == [True, False, False, False]


def test_gradients_bfloat16_and_heads():
    check_gradients(SMALL, X)
    check_bfloat16(SMALL, X)
    features, labels = jax.random.normal(KEY, (4, 5)), jnp.arange(4) % 3
    check_gradients(nets.StyleHead(3, 2), features, labels)
    assert out_shape(nets.StyleHead(3), features, labels) == (4,)
    assert out_shape(nets.StyleHead(), features) == (4,)


def test_r1_has_a_gradient():
    init, apply = nets.from_linen(SMALL)

    @jax.jit
    def gradient(x):
        def penalty(params):
            def total(x):
                return apply({"params": params}, x, context=CONTEXT)[0].sum()

            return jnp.sum(jax.grad(total)(x) ** 2)

        return jax.grad(penalty)(init(KEY, x)["params"])

    kernel = gradient(X)["down_0"]["kernel"]
    assert bool(jnp.isfinite(kernel).all() & (kernel != 0).any())


def test_errors_name_value_and_remedy():
    with pytest.raises(ValueError, match=r"images of shape \(4, 4, 5, 2\) with 1 halvings"):
        compiled(SMALL).init(KEY, X[:, :, :5])
    with pytest.raises(ValueError, match=r"StyleHead: num_classes=3 with no labels; both or"):
        compiled(nets.StyleHead(3)).init(KEY, jnp.ones((4, 5)))
