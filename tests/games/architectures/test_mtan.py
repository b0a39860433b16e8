"""The attention network against NumPy; a mask of ones is hard sharing."""

import architectures as tiny
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from gan_mtl import nets, table
from gan_mtl.games import architectures as arch


def normed(params, name, x):
    """Batch normalisation in training."""
    p = params[f"{name}_norm"]["norm"]
    axes = tuple(range(x.ndim - 1))
    x = (x - x.mean(axis=axes)) / np.sqrt(x.var(axis=axes) + 1e-5)
    return x * np.asarray(p["scale"]) + np.asarray(p["bias"])


def attention(params, u, p, linked):
    x = u if linked is None else np.concatenate([u, linked], axis=-1)
    for name, function in (
        ("g", lambda x: np.maximum(x, 0)),
        ("h", lambda x: 1 / (1 + np.exp(-x))),
    ):
        x = x @ np.asarray(params[name]["kernel"]) + np.asarray(params[name]["bias"])
        x = function(normed(params, name, x))
    return x * p


def link(params, attended):
    """A 3x3 convolution with zeros around, then the maximum of 2x2 windows."""
    kernel = np.asarray(params["f"]["kernel"])
    n, h, w, channels = attended.shape
    x = np.zeros((n, h, w, kernel.shape[-1]))
    for i in range(n):
        for out in range(kernel.shape[-1]):
            for c in range(channels):
                x[i, :, :, out] += scipy.signal.correlate2d(
                    attended[i, :, :, c], kernel[:, :, c, out], mode="same"
                )
    x = np.maximum(normed(params, "f", x + np.asarray(params["f"]["bias"])), 0)
    return x.reshape(n, h // 2, 2, w // 2, 2, -1).max(axis=(2, 4))


def test_tasks_attend_to_the_trunk_and_to_what_they_attended_to_before():
    unit, join = tiny.linen(nets.Attention()), tiny.linen(nets.AttentionLink())
    plan = arch.mtan(tiny.TASKS, tiny.BLOCKS, unit, join)
    variables, x = tiny.started(plan)
    p, attended, maps = np.asarray(x), {}, {t: [] for t in tiny.TASKS}
    for j in range(2):
        u = tiny.run_places(variables, f"trunk/{j}/first", p, stride=1 + j)
        p = tiny.run_places(variables, f"trunk/{j}/rest", u)
        for t in tiny.TASKS:
            linked = link(variables.params[f"link/{j}"], attended[t]) if j else None
            attended[t] = attention(variables.params[f"attention/{t}/{j}"], u, p, linked)
            maps[t].append(attended[t])
    for t, found in tiny.features(plan, variables, x).items():
        assert found.shape == (8, 2, 2, 4)
        np.testing.assert_allclose(found, attended[t], rtol=1e-3, atol=1e-4)
    pyramids = arch.mtan(tiny.TASKS, tiny.BLOCKS, unit, join, pyramid=True)
    for t, found in tiny.represented(pyramids, variables, x).features.items():
        for one, wanted in zip(found, maps[t], strict=True):
            np.testing.assert_allclose(one, wanted, rtol=1e-3, atol=1e-4)


def test_a_mask_of_ones_is_hard_sharing():
    unit, join = nets.Attention(batch_norm=False), nets.AttentionLink(batch_norm=False)
    plan = arch.mtan(tiny.TASKS, tiny.BLOCKS, tiny.linen(unit), tiny.linen(join))
    variables, x = tiny.started(plan)
    for t in tiny.TASKS:
        group = f"attention/{t}/1"
        params = variables.params[group]
        params = {**params, "h": {**params["h"], "bias": params["h"]["bias"] + 50.0}}
        variables = variables._replace(params={**variables.params, group: params})
    p = np.asarray(x)
    for j in range(2):
        p = tiny.run_places(variables, f"trunk/{j}/first", p, stride=1 + j)
        p = tiny.run_places(variables, f"trunk/{j}/rest", p)
    for found in tiny.features(plan, variables, x).values():
        np.testing.assert_allclose(found, p, rtol=1e-4, atol=1e-5)


def test_attention_is_private_and_the_links_are_shared():
    turn = tiny.game("mtan").turns[0]
    parts = {f"trunk/{j}/{part}" for j in range(2) for part in ("first", "rest")}
    assert set(table.shared_groups(turn)) == parts | {"link/1"}


def test_blocks_that_do_not_fit_are_refused():
    u, p = jnp.ones((2, 4, 4, 1)), jnp.ones((2, 2, 2, 1))
    with pytest.raises(ValueError, match=r"\(2, 4, 4, 1\).*\(2, 2, 2, 1\).*keeps height and width"):
        nets.Attention().init(tiny.KEY, u, p, context=tiny.context())
    with pytest.raises(ValueError, match=r"not to \(2, 3, 3, 1\); blocks"):
        nets.AttentionLink().init(tiny.KEY, u, jnp.ones((2, 3, 3, 1)), context=tiny.context())


def test_masks_are_what_was_attended_to_over_what_was_there():
    """In evaluation; a game of the architecture can be asked for them."""
    unit, join = tiny.linen(nets.Attention()), tiny.linen(nets.AttentionLink())
    plan = arch.mtan(tiny.TASKS, tiny.BLOCKS, unit, join)
    variables, x = tiny.started(plan)
    asked = tiny.context(train=False)
    p = tiny.run_places(variables, "trunk/0/first", np.asarray(x))
    p = [tiny.run_places(variables, "trunk/0/rest", p)]
    p.append(tiny.run_places(variables, "trunk/1/first", p[0], stride=2))
    p[1] = tiny.run_places(variables, "trunk/1/rest", p[1])
    attended = tiny.features(plan, variables, x, train=False)
    for t in tiny.TASKS:
        masks = plan.predict[f"attention/{t}"](variables, x, asked)
        assert [m.shape for m in masks] == [q.shape for q in p]
        assert all(((m > 0) & (m < 1)).all() for m in masks)
        np.testing.assert_allclose(masks[1] * p[1], attended[t], rtol=1e-3, atol=1e-5)
    assert not np.allclose(
        *(plan.predict[f"attention/{t}"](variables, x, asked)[0] for t in tiny.TASKS)
    )
    assert {"attention/a", "attention/b"} < set(tiny.game("mtan").predict)
