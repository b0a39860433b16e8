"""What every method costs in operations, as XLA counts them, against equal weights.

With B = 2 F: loss weightings 1, FAMO one forward pass more, features 1, rows (1 + 2 K) / 3.
"""

import functools
import inspect

import jax
import jax.numpy as jnp
import optax
import pytest

from experiments.mtl_cost import methods, passes
from gan_mtl import mtl
from gan_mtl.types import Game, Loss, Objective, Outcome, Turn
from gan_mtl.update import alternating

KEY = jax.random.key(0)
BATCH, WIDTH = 3 * 512, 1024  # products of matrices in the trunk are nearly everything
# The first layer is narrow: its inputs need no gradient, which would make B less than 2 F.
TRUNK = {f"layer_{i}": (WIDTH if i else 4, WIDTH) for i in range(4)}
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
SOME = ("uncertainty", "famo", "mgda", "mgda_ub", "moco", "graddrop")


def losses(variables, batch, context):
    """A regression for every head, on three layers that they share."""
    del context
    x = batch["x"]
    for layer in TRUNK:
        x = jax.nn.relu(x @ variables.params["trunk"][layer])
    z = variables.tap(x)
    heads = {n: p["w"] for n, p in variables.params.items() if n.startswith("heads/")}
    found = {n.removeprefix("heads/"): Loss((z @ w - batch["y"]) ** 2) for n, w in heads.items()}
    return Outcome(found, variables, features=z)


def game(tasks, weighting, rows):
    names = [f"t{i}" for i in range(tasks)]

    def init(key, batch):
        del key, batch
        trunk = {name: jnp.ones(shape) for name, shape in TRUNK.items()}
        heads = {f"heads/{name}": {"params": {"w": jnp.ones(WIDTH)}} for name in names}
        return {"trunk": {"params": trunk}, **heads}

    table = {name: Objective({"trunk": 1.0, f"heads/{name}": 1.0}) for name in names}
    turn = Turn("model", losses, table, optax.sgd(1e-3), weighting, rows=rows)
    return Game(init, (turn,))


@functools.cache
def flops(tasks, name, due=True):
    """Operations of the compiled update; its machine code, which is not run, is not optimised."""
    weighting, rows = methods(tasks)[name]
    updater = alternating(game(tasks, weighting, rows))
    shapes = {"x": (BATCH, 4), "y": (BATCH,)}
    batch = {n: jax.ShapeDtypeStruct(shape, jnp.float32) for n, shape in shapes.items()}
    state = jax.eval_shape(updater.init, KEY, batch)
    update = functools.partial(updater.update, due=(due,) * len(updater.periods))
    program = jax.jit(update).lower(KEY, state, batch).compile(compiler_options=QUICK)
    return program.cost_analysis()["flops"]


def expected(tasks, name):
    weighting, rows = methods(tasks)[name]
    forward, backward = passes(weighting, rows._replace(every=1), tasks)
    return (forward + 2 * backward) / 3


def check(tasks, name):
    ratio = flops(tasks, name) / flops(tasks, "equal")
    assert ratio == pytest.approx(expected(tasks, name), rel=0.02)
    if expected(tasks, name) == 1:
        assert ratio <= 1.02 if name == "mgda_ub" else ratio == pytest.approx(1, abs=0.001)


def test_the_counts_are_asked_for_every_factory():
    taken = {
        n
        for n, f in vars(mtl).items()
        if inspect.isfunction(f) and n not in ("combine", "from_weighting", "gramian")
    }
    assert set(methods(3)) == taken | {"mgda_ub", "mgda_lazy"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(methods(2)))
def test_two_tasks(name):
    check(2, name)


@pytest.mark.parametrize("name", sorted(methods(3)))
def test_three_tasks(name):
    check(3, name)


@pytest.mark.parametrize("name", SOME)
def test_ten_tasks(name):
    check(10, name)


def test_lazy_weights_cost_nothing_between():
    assert flops(3, "mgda_lazy", due=False) == pytest.approx(flops(3, "equal"), rel=0.001)


@pytest.mark.slow
def test_heads_are_passed_once_for_all_rows():
    """Heads as heavy as the trunk: K rows ask each of K heads once, not K times."""
    tasks, wide = 4, 64

    def heavy(variables, batch, context):
        del context
        z = jnp.tanh(batch["x"] @ variables.params["trunk"]["w"])
        found = {
            f"t{i}": Loss((jnp.tanh(z @ variables.params[f"heads/t{i}"]["w"]) ** 2).sum(axis=1))
            for i in range(tasks)
        }
        return Outcome(found, variables)

    def init(key, batch):
        del key, batch
        names = ("trunk", *(f"heads/t{i}" for i in range(tasks)))
        return {name: {"params": {"w": jnp.ones((wide, wide))}} for name in names}

    def count(weighting):
        table = {f"t{i}": Objective({"trunk": 1.0, f"heads/t{i}": 1.0}) for i in range(tasks)}
        turn = Turn("model", heavy, table, optax.sgd(1e-3), weighting)
        updater = alternating(Game(init, (turn,)))
        batch = {"x": jax.ShapeDtypeStruct((BATCH, wide), jnp.float32)}
        state = jax.eval_shape(updater.init, KEY, batch)
        program = jax.jit(updater.update).lower(KEY, state, batch)
        return program.compile(compiler_options=QUICK).cost_analysis()["flops"]

    # In products of matrices: forward 1 + K; backward, K heads of 2; the trunk's 1 once or K times.
    ratio = (1 + tasks + 2 * tasks + tasks) / (1 + tasks + 2 * tasks + 1)
    assert count(mtl.mgda()) / count(mtl.equal()) == pytest.approx(ratio, rel=0.05)
