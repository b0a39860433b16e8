"""The speed comparison: its contenders take the same step on the same networks."""

import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import speed

SMALL = {name: case._replace(batch=8, width=4) for name, case in speed.CASES.items()}


@pytest.mark.parametrize("name", SMALL)
def test_jax_contenders_step(name):
    case = SMALL[name]
    images = np.zeros((case.batch, *case.shape), np.float32)
    for make in (speed.framework_step, speed.plain_step):
        step = make(case, images)
        for _ in range(2):
            step()


@pytest.mark.parametrize("name", SMALL)
def test_torch_has_the_same_number_of_parameters(name):
    pytest.importorskip("torch")
    case = SMALL[name]
    gen, trunk, head = speed.players(case)[:3]
    key, images = jax.random.key(0), jnp.zeros((2, *case.shape))
    made = jax.eval_shape(gen.init, key, jnp.zeros((2, case.latents)))
    seen = jax.eval_shape(trunk.init, key, images)
    features = jax.ShapeDtypeStruct((2, 16 * 4 * case.width if name == "dcgan" else 4), jnp.float32)
    judged = jax.eval_shape(head.init, key, features)
    ours = [made["params"], (seen["params"], judged["params"])]
    for tree, net in zip(ours, speed._torch_players(case), strict=True):
        count = sum(p.numel() for p in net.parameters())
        assert sum(leaf.size for leaf in jax.tree.leaves(tree)) == count


def test_rows_become_a_table_that_says_what_is_missing():
    row = {"case": "mlp", "contender": "jax", "median_ms": 3.5, "fastest_ms": 3.1, "cpu_ms": 6.0}
    text = speed.table([{**row, "times_best_torch": 0.8}])
    assert "3.50 ms" in text and "0.80" in text
    assert ("PyTorch is not installed" in text) is (importlib.util.find_spec("torch") is None)


def test_unknown_case_is_named():
    with pytest.raises(SystemExit, match="--cases vae is not one of mlp, dcgan"):
        speed.main(argv=["--cases", "vae"])


def test_committed_results_say_how_they_were_measured():
    found = json.loads(speed.RESULTS.read_text())
    assert {"command", "versions", "hardware", "protocol", "load_average", "rows"} <= set(found)
    assert found["versions"]["torch"] and found["hardware"]["cores"]
