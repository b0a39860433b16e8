"""Relations of a run: what is seen of a state, and the verdict that follows."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo
from linear import linear

from gan_mtl import metrics
from gan_mtl.games import Task, class_task, multitask
from gan_mtl.losses.tasks import cross_entropy
from gan_mtl.run import conflicts
from gan_mtl.types import Context
from gan_mtl.update import alternating, variables_of

KEY = jax.random.key(0)


def wrong(outputs, labels):
    return cross_entropy(outputs, (labels + 1) % zoo.CLASSES)


def pair():
    head = linear(zoo.CLASSES)
    other = Task("other", head, wrong, classifies=False)
    return multitask(linear(5), (class_task(head, labelled=False), other), optax.sgd(0.1))


def seen(game):
    state = alternating(game).init(KEY, zoo.batch(dtype=float))
    look = conflicts.looker(game)
    return state, {
        k: float(v) for k, v in jax.jit(look)(KEY, state, zoo.batch(dtype=float)).items()
    }


def test_what_is_seen_is_what_separate_gradients_give():
    with jax.enable_x64():
        game = pair()
        state, found = seen(game)
        batch, variables = zoo.batch(dtype=float), variables_of(state)
        turn = game.turns[0]

        def loss(trunk, name):
            params = {**variables.params, "trunk": trunk}
            context = Context(KEY, state.step)
            outcome = turn.losses(variables._replace(params=params), batch, context)
            return outcome.losses[name].values.mean()

        names, trunk = ("class", "other"), variables.params["trunk"]
        g = {n: jax.grad(loss)(trunk, n)["w"] for n in names}
        norms = {n: float(jnp.linalg.norm(x)) for n, x in g.items()}
        product = float((g["class"] * g["other"]).sum())
        a, b = norms.values()
        expected = {
            "model/cosine/class~other": product / (a * b),
            "model/magnitude/class~other": 2 * a * b / (a**2 + b**2),
        }
        for i, j in (names, names[::-1]):
            stepped = {"w": trunk["w"] - conflicts.LOOKAHEAD * g[i]}
            ratio = float(loss(stepped, j) / loss(trunk, j))
            expected[f"model/affinity/{i}>{j}"] = 1 - ratio
        w = jnp.stack([variables.params[f"heads/{n}"]["w"].ravel() for n in names], axis=1)
        omega = metrics.task_covariance(w)
        expected["model/correlation/class~other"] = float(
            omega[0, 1] / jnp.sqrt(omega[0, 0] * omega[1, 1])
        )
        assert set(found) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-9)


def test_nothing_is_seen_where_nothing_is_shared():
    assert conflicts.looker(zoo.game("classifier")) is None
    assert conflicts.looker(zoo.game("unconditional")) is None


@pytest.mark.slow
def test_adversarial_objectives_have_no_affinities():
    _, found = seen(zoo.game("task_gans"))
    kinds = {name.split("/")[1] for name in found}
    assert {"cosine", "magnitude"} <= kinds and "affinity" not in kinds
    assert all(np.isfinite(list(found.values())))


def lines(affinity, steps=8, noise=0.1, seed=0):
    """A relations.jsonl's lines with these mean affinities [T, T]."""
    rng, names = np.random.default_rng(seed), "abcd"[: len(affinity)]
    rows = []
    for step in range(steps):
        row = {"step": step}
        for i, x in enumerate(names):
            for j, y in enumerate(names):
                if i != j:
                    row[f"model/affinity/{x}>{y}"] = affinity[i][j] + noise * rng.normal()
                if i < j:
                    row[f"model/cosine/{x}~{y}"] = 0.5
        rows.append(row)
    return rows


def told(affinity, **options):
    return conflicts.verdict(conflicts.history(lines(affinity, **options))["model"])


@pytest.mark.parametrize(
    ("affinity", "text"),
    [
        ([[0, 1], [1, 0]], "train together: a + b"),
        ([[0, -1], [-1, 0]], "train apart: a, b"),
        ([[0, 0], [0, 0]], "train apart: a, b"),
        ([[0, 0.01], [0.01, 0]], "train apart: a, b"),  # helps, but not surely
        (
            [[0, 1, -1], [1, 0, -1], [-1, -1, 0]],
            "train in 2 networks: a + b for a, b; c for c",
        ),
        (
            [[0, 1, -1, -1], [1, 0, -1, -1], [-1, -1, 0, 1], [-1, -1, 1, 0]],
            "train in 2 networks: a + b for a, b; c + d for c, d",
        ),
    ],
)
def test_the_verdict_is_the_grouping_of_what_helps_for_sure(affinity, text):
    assert told(affinity).text == text


def test_the_interval_of_looks_that_are_not_alike_is_student_s():
    values = np.array([0.0, 1.0, -2.0, 1.0, 0.5, -1.0, 2.0])  # neighbours are anticorrelated
    rows = [{"step": i, "t/affinity/a>b": v, "t/affinity/b>a": 1.0} for i, v in enumerate(values)]
    found = conflicts.verdict(conflicts.history(rows)["t"])
    half = 2.446911851 * values.std(ddof=1) / np.sqrt(7)
    np.testing.assert_allclose(found.affinity[0, 1], values.mean())
    np.testing.assert_allclose(found.low[0, 1], values.mean() - half, rtol=1e-8)
    assert found.low[1, 0] == 1.0  # a constant has no width


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_looks_that_are_alike_do_not_pass_for_many(correlation):
    """Two tasks without affinity: how often a run of 40 looks says "together"."""
    rng, together = np.random.default_rng(5), 0
    for _ in range(200):
        noise, walk = rng.normal(size=(40, 2)), np.zeros((40, 2))
        walk[0] = noise[0] / np.sqrt(1 - correlation**2)
        for i in range(1, 40):
            walk[i] = correlation * walk[i - 1] + noise[i]
        rows = [
            {"step": i, "t/affinity/a>b": x, "t/affinity/b>a": y} for i, (x, y) in enumerate(walk)
        ]
        told = conflicts.verdict(conflicts.history(rows)["t"])
        together += told.text.startswith("train together")
    assert together / 200 < 0.06


def test_names_that_pairs_could_not_be_told_by_are_refused():
    game = pair()
    turn = game.turns[0]
    rows = {name.replace("other", "o~r"): row for name, row in turn.objectives.items()}
    bad = game._replace(turns=(turn._replace(objectives=rows),))
    with pytest.raises(ValueError, match="relations_every=0"):
        conflicts.looker(bad)


def test_ascended_objectives_have_no_affinities():
    game = pair()
    turn = game.turns[0]
    row = turn.objectives["other"]
    reversed_ = row._replace(entries={**row.entries, "trunk": -1.0})
    turn = turn._replace(objectives={**turn.objectives, "other": reversed_})
    _, found = seen(game._replace(turns=(turn,)))
    assert {name.split("/")[1] for name in found} == {"cosine", "magnitude", "correlation"}


@pytest.mark.parametrize("rows", [[], lines([[0, 1], [1, 0]], steps=3), [{"step": 1}]])
def test_too_little_gives_no_verdict(rows):
    found = conflicts.history(rows)
    assert all(conflicts.verdict(one) is None for one in found.values())


def test_the_order_of_the_keys_of_a_line_does_not_matter():
    rows = [{"step": 0, "t/affinity/a>b": 0.1, "t/affinity/b>a": 0.2, "t/cosine/b~a": 0.3}]
    found = conflicts.history(rows)["t"]
    np.testing.assert_allclose(found.matrices["cosine"][0], [[1, 0.3], [0.3, 1]])
    np.testing.assert_allclose(found.matrices["affinity"][0], [[0, 0.1], [0.2, 0]])


def test_the_summary_goes_by_turn_and_pair(tmp_path):
    text = "".join(json.dumps(row) + "\n" for row in lines([[0, -1], [-1, 0]]))
    (tmp_path / conflicts.FILE).write_text(text)
    found = conflicts.summary(tmp_path)["relations"]["model"]
    assert found["verdict"] == "train apart: a, b"
    assert found["cosine"] == {"a~b": 0.5}
    assert found["affinity"]["a>b"] < -0.5
    assert conflicts.summary(tmp_path / "none") == {}
