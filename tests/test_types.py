"""Book-keeping: roles of a group, collections that are threaded, contexts and their numbers."""

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_mtl.types import Context, Network, Schedule, group_of, starting

CONTEXT = Context(jax.random.key(2), jnp.zeros((), jnp.int32))


def count_apply(variables, x, context):
    """x times w; counts its passes and remembers the last input, in training."""
    y = variables["params"]["w"] * x
    if not context.train or "count" not in variables:
        return y, {}
    return y, {"count": {"passes": variables["count"]["passes"] + 1, "last": x}}


COUNTER = Network(lambda key, x: {}, count_apply)


@pytest.fixture
def variables():
    """Two counting groups and one without collections."""
    counts = {"passes": 0, "last": -1.0}
    return starting(
        {
            "trunk": {"params": {"w": 2.0}, "count": counts, "kept": {"b": 5.0}},
            "shared": {"params": {"w": 3.0}, "count": counts},
            "plain": {"params": {"w": 7.0}},
        }
    )


def test_starting_parts_parameters_from_collections(variables):
    assert variables.params == {"trunk": {"w": 2.0}, "shared": {"w": 3.0}, "plain": {"w": 7.0}}
    assert set(variables.state["trunk"]) == {"count", "kept"} and variables.state["plain"] == {}


def test_a_role_has_its_own_parameters_where_given_and_its_group_s_otherwise(variables):
    both = variables._replace(params={**variables.params, "shared@gen": {"w": 30.0}})
    assert both.of("shared@gen")["params"] == {"w": 30.0}
    assert both.of("shared@disc")["params"] == both.of("shared")["params"] == {"w": 3.0}
    assert both.of("shared@gen")["count"] == variables.state["shared"]["count"]
    assert group_of("shared@gen") == "shared" and group_of("heads/class") == "heads/class"


def test_several_passes_thread_the_collections_of_their_group_only(variables):
    after = variables
    outputs = []
    for x, entry in ((1.0, "trunk"), (4.0, "shared@gen"), (5.0, "trunk"), (6.0, "shared@disc")):
        y, after = after.apply(COUNTER, entry, x, context=CONTEXT)
        outputs.append(y)
    assert outputs == [2.0, 12.0, 10.0, 18.0]
    assert after.state["trunk"] == {"count": {"passes": 2, "last": 5.0}, "kept": {"b": 5.0}}
    assert after.state["shared"] == {"count": {"passes": 2, "last": 6.0}}  # roles share them
    assert after.state["plain"] == {} and after.params is variables.params
    assert variables.state["trunk"]["count"]["passes"] == 0  # nothing is written in place


def test_a_pass_that_writes_nothing_gives_the_same_variables(variables):
    calm = CONTEXT._replace(train=False)
    assert variables.apply(COUNTER, "trunk", 1.0, context=calm)[1] is variables
    assert variables.apply(COUNTER, "plain", 1.0, context=CONTEXT)[1] is variables


def test_an_unknown_group_is_a_key_error_that_names_it(variables):
    with pytest.raises(KeyError, match="'heads/class'"):
        variables.of("heads/class@gen")


def test_fold_changes_the_key_alone_and_is_the_crc_of_a_tag():
    context = CONTEXT._replace(stride=3, offset=1, train=False, axis_name="batch")
    folded = context.fold("latents")
    assert folded._replace(key=CONTEXT.key) == context
    expected = jax.random.fold_in(CONTEXT.key, zlib.crc32(b"latents"))
    np.testing.assert_array_equal(jax.random.key_data(folded.key), jax.random.key_data(expected))
    number = jax.random.fold_in(CONTEXT.key, 4)
    np.testing.assert_array_equal(
        jax.random.key_data(CONTEXT.fold(4).key), jax.random.key_data(number)
    )


def test_tags_in_another_order_are_another_key():
    keys = [CONTEXT.fold(a).fold(b).key for a, b in (("a", "b"), ("b", "a"), ("ab", ""))]
    found = {tuple(np.asarray(jax.random.key_data(key))) for key in keys}
    assert len(found) == 3


def test_nested_slices_of_a_batch_have_the_numbers_that_slicing_gives():
    numbers = np.arange(24)
    assert CONTEXT.index(24).tolist() == numbers.tolist()
    for j in range(4):
        found = CONTEXT._replace(stride=4, offset=j).index(6)
        np.testing.assert_array_equal(found, numbers[j::4])


def test_every_device_has_its_own_part_of_a_slice():
    context = CONTEXT._replace(axis_name="batch", stride=2, offset=1)
    key = jax.random.key_data(CONTEXT.key)

    def device(_):
        return context._replace(key=jax.random.wrap_key_data(key)).index(3)

    count = jax.device_count()
    found = np.asarray(jax.pmap(device, axis_name="batch")(jnp.zeros(count)))
    # The slice of the global batch, x[1::2], lies on the devices in consecutive parts.
    np.testing.assert_array_equal(found.ravel(), np.arange(2 * 3 * count)[1::2])


def test_a_schedule_descends_unless_told_otherwise():
    ramp = Schedule(lambda step: step / 2, "t/2")
    assert (ramp.sign, float(ramp.value(jnp.asarray(3)))) == (1, 1.5)
