"""The comparison of costs: what is counted, what is timed, what TorchJD takes the same step on."""

import importlib.util
import json

import jax
import pytest

from experiments import mtl_cost
from experiments.mtl_cost import Case
from gan_mtl import mtl
from gan_mtl.types import EXACT, Rows

TINY = {name: Case(name, 2, batch=12, width=8) for name in mtl_cost.NETWORKS}


def test_passes_that_a_step_needs():
    assert mtl_cost.passes(mtl.equal(), EXACT, 5) == (1, 1)
    assert mtl_cost.passes(mtl.famo(), EXACT, 5) == (2, 1)
    assert mtl_cost.passes(mtl.mgda(), EXACT, 5) == (1, 5)
    assert mtl_cost.passes(mtl.graddrop(), EXACT, 5) == (1, 5)
    assert mtl_cost.passes(mtl.mgda(), Rows("features"), 5) == (1, 1)
    assert mtl_cost.passes(mtl.mgda(), Rows(every=10), 5) == (1, 1.4)


def test_contenders_step_and_say_what_they_cost():
    found = mtl_cost.jax_contenders(TINY["mlp"], ("mgda", "mgda_lazy"))
    parts = {f"part/{name}" for name in mtl_cost.PARTS}
    solvers = {"solver/mgda", "solver/mgda_lazy"}
    assert set(found) == parts | solvers | {"equal", "mgda", "mgda_lazy"}
    for built in found.values():
        built.step()
    assert found["mgda_lazy"].steps == 10
    assert found["equal"].flops < found["mgda_lazy"].flops < found["mgda"].flops
    assert found["mgda"].temporary > 0


@pytest.mark.parametrize("name", TINY)
def test_torchjd_steps_on_the_same_number_of_parameters(name):
    pytest.importorskip("torchjd")
    from experiments import _torchjd

    case = TINY[name]
    batch = mtl_cost.batch_of(case)
    groups = jax.eval_shape(mtl_cost.game(case, mtl.equal()).init, jax.random.key(0), batch)
    ours = sum(leaf.size for leaf in jax.tree.leaves(groups))
    theirs = sum(p.numel() for net in _torchjd.networks(case) for p in net.parameters())
    assert ours == theirs
    steps = _torchjd.contenders(case, batch, ("equal", "mgda", "famo"), 1)
    assert list(steps) == ["equal", "mgda/together", "mgda/in turn"]
    for step in steps.values():
        step()


def row(**changes):
    facts = {"network": "mlp", "tasks": 3, "method": "mgda", "backward_passes": 3, "flops": 2.33}
    times = {"ms": 4.0, "times_equal": 2.0, "times_parts": 1.01, "parts_ms": [1.0, 0.9, 0.1]}
    rest = {"temporary_memory": 1.5, "solver_ms": 0.04, "torchjd_ms": 8.0, "torchjd_over_ours": 2.0}
    return {**facts, **times, **rest, **changes}


def test_rows_become_a_table():
    text = mtl_cost.table([row(), row(method="graddrop", solver_ms=None), row(tasks=10)])
    assert text.count("(1 + 2 K) / 3") == 2 and "2.33" in text and "1.0%" in text
    assert "TorchJD is not installed" not in text
    text = mtl_cost.table([row(torchjd_ms=None, torchjd_over_ours=None)])
    assert "TorchJD is not installed" in text and "pip install gan_mtl[bench]" in text


def test_torchjd_is_optional():
    there = all(importlib.util.find_spec(name) for name in ("torch", "torchjd"))
    assert mtl_cost.has_torchjd() is there


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--networks", "vgg"], "--networks vgg is not one of mlp, lenet"),
        (["--only", "pc_grad"], "--only pc_grad is not one of equal, .*pcgrad"),
        (["--tasks", "1"], "--tasks 1: give 2 or more"),
    ],
)
def test_unknown_options_are_named(arguments, message):
    with pytest.raises(SystemExit, match=message):
        mtl_cost.main(argv=arguments)


def test_committed_results_say_how_they_were_measured():
    found = json.loads(mtl_cost.RESULTS.read_text())
    assert {"command", "versions", "hardware", "protocol", "load_average", "rows"} <= set(found)
    assert found["versions"]["torchjd"]
