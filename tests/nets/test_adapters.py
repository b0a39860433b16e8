"""from_linen: init and apply as pure functions, for our modules and for foreign ones."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl import nets
from gan_mtl.types import Context

KEY = jax.random.key(0)
CONTEXT = Context(KEY, jnp.zeros((), jnp.int32))


class Foreign(nn.Module):
    """A module of another library: asks for `train` and `axis_name`, keeps statistics."""

    @nn.compact
    def __call__(self, x, train: bool, axis_name=None):
        x = nn.BatchNorm(use_running_average=not train, axis_name=axis_name)(nn.Dense(4)(x))
        return nn.Dropout(0.5, deterministic=not train)(x)


class Sows(nn.Module):
    @nn.compact
    def __call__(self, x):
        self.sow("intermediates", "x", x)
        return nn.Dense(3)(x)


def test_variables_are_plain_dicts_by_collection():
    trunk = nets.from_linen(nets.DCGANTrunk(8, 4, norm="batch"))
    variables = trunk.init(KEY, jnp.ones((2, 8, 8, 1)))
    assert set(variables) == {"params", "batch_stats"}
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    assert all(type(key) is jax.tree_util.DictKey for path, _ in leaves for key in path)


def test_train_returns_new_collections_and_evaluation_none():
    x = jax.random.normal(KEY, (8, 5))
    network = nets.from_linen(Foreign())
    variables = network.init(KEY, x)
    out, new = network.apply(variables, x, context=CONTEXT)
    assert set(new) == {"batch_stats"}
    assert jax.tree.structure(new["batch_stats"]) == jax.tree.structure(variables["batch_stats"])
    mean = np.asarray(x @ variables["params"]["Dense_0"]["kernel"]).mean(0)
    np.testing.assert_allclose(new["batch_stats"]["BatchNorm_0"]["mean"], 0.01 * mean, atol=1e-6)
    assert bool((out == 0).any())
    out, new = network.apply(variables, x, context=CONTEXT._replace(train=False))
    assert new == {}
    assert not bool((out == 0).any())


def test_foreign_module_takes_the_axis_of_the_devices():
    x = jax.random.normal(KEY, (8, 2, 5))
    network = nets.from_linen(Foreign())
    variables = network.init(KEY, x[0])

    def passes(x):
        return network.apply(variables, x, context=CONTEXT._replace(axis_name="data"))

    out, new = jax.pmap(passes, axis_name="data")(x)
    stats = new["batch_stats"]["BatchNorm_0"]["mean"]
    np.testing.assert_array_equal(stats[0], stats[7])
    masks = np.asarray(out == 0)
    assert any((masks[0] != mask).any() for mask in masks[1:]), "devices repeat a dropout mask"


def test_foreign_batch_norm_without_the_axis_of_the_devices_is_refused_under_pmap():
    class Local(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return nn.BatchNorm(use_running_average=not train, name="norm")(nn.Dense(4)(x))

    class Outer(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return Local(name="inner")(x, train)

    x = jax.random.normal(KEY, (8, 2, 5))
    network = nets.from_linen(Outer())
    variables = network.init(KEY, x[0])

    def passes(context):
        def run(x):
            return network.apply(variables, x, context=context._replace(axis_name="data"))[0]

        return jax.pmap(run, axis_name="data")(x)

    match = r"BatchNorm 'inner/norm' has axis_name=None under pmap over 'data'.*nets\.BatchNorm"
    with pytest.raises(ValueError, match=match):
        passes(CONTEXT)
    assert passes(CONTEXT._replace(train=False)).shape == (8, 2, 4)  # running averages are equal
    assert set(network.apply(variables, x[0], context=CONTEXT)[1]) == {"batch_stats"}


def test_module_without_any_keyword_and_without_parameters():
    network = nets.from_linen(nn.Dense(3))
    out, new = network.apply(network.init(KEY, jnp.ones((2, 4))), jnp.ones((2, 4)), context=CONTEXT)
    assert out.shape == (2, 3) and new == {}
    empty = nets.from_linen(nets.GaussianNoise(0.1))
    assert empty.init(KEY, jnp.ones((2, 4))) == {"params": {}}


def test_sown_values_are_not_state():
    network = nets.from_linen(Sows())
    variables = network.init(KEY, jnp.ones((2, 4)))
    assert set(variables) == {"params"}


def test_float64_inputs_give_float64_variables_or_as_told():
    with jax.enable_x64(True):
        x = jnp.ones((2, 8, 8, 1), jnp.float64)
        trunk = nets.DCGANTrunk(8, 4, norm="spectral")
        variables = nets.from_linen(trunk).init(KEY, x)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float64"}
        variables = nets.from_linen(trunk, param_dtype=jnp.float32).init(KEY, x)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}
        _, new = nets.from_linen(trunk).apply(variables, x, context=CONTEXT)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(new)} == {"float32"}, "state's dtype"


def test_bfloat16_computes_narrow_and_keeps_wide():
    x = jax.random.normal(KEY, (4, 8, 8, 2))
    for norm in ("batch", "spectral"):
        network = nets.from_linen(nets.DCGANTrunk(8, 4, norm=norm, dtype=jnp.bfloat16))
        variables = network.init(KEY, x)
        out, new = network.apply(variables, x, context=CONTEXT)
        assert out.dtype == jnp.float32
        assert bool((out == out.astype(jnp.bfloat16)).all()), "computed in bfloat16"
        kept = jax.tree.leaves((variables, new))
        assert {leaf.dtype.name for leaf in kept} == {"float32"}

        def loss(params, network=network, variables=variables):
            return network.apply({**variables, "params": params}, x, context=CONTEXT)[0].sum()

        gradients = jax.jit(jax.grad(loss))(variables["params"])
        assert {leaf.dtype.name for leaf in jax.tree.leaves(gradients)} == {"float32"}


def test_works_under_jit_and_vmap_over_seeds():
    network = nets.from_linen(nets.MLPTrunk((4,)))
    variables = jax.vmap(lambda key: network.init(key, jnp.ones((2, 3))))(jax.random.split(KEY, 3))
    apply = jax.jit(jax.vmap(lambda v: network.apply(v, jnp.ones((2, 3)), context=CONTEXT)[0]))
    assert apply(variables).shape == (3, 2, 4)


def test_refuses_what_is_not_linen():
    with pytest.raises(
        TypeError, match=r"from_linen: module=3 of type int .* Network\(init, apply\)"
    ):
        nets.from_linen(3)  # type: ignore[arg-type]
