"""What the experiments of domain adaptation have in common: methods, evaluation, tables.

Digits, log-mel pictures and whatever else is joined as `source` and `target` go through the same
code. A cell's evaluations hold `picks.scores`; the tables have three accuracies.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gan_mtl import games, nets
from gan_mtl.games import Domains, Optimizers
from gan_mtl.run import picks, tables
from gan_mtl.run.config import Config, Spec, chosen_arms
from gan_mtl.run.evaluate import Evaluation, class_scores
from gan_mtl.types import Context, Game, Network, Optimizer

SOURCE_ONLY, SUPERVISED = "source", "supervised"
CONTROLS = (SOURCE_ONLY, SUPERVISED)
CHOSEN = "information"  # the validator that picks; the others are printed beside it


class Parts(NamedTuple):
    """The networks of one experiment, from which every method takes what it needs.

    trunk, private: images to features; head: features to class logits; domain: features (or what
    CDAN makes of them) to logits [n]; dec: features to images.
    """

    trunk: Network
    private: Network
    head: Network
    domain: Network
    dec: Network


@dataclass(frozen=True)
class Settings:
    """One arm."""

    method: str
    """A key of `METHODS`."""
    weight: float = 1.0
    """What DANN's ramp of the adaptation's weight ends at."""
    learning_rate: float = 1e-3
    """Of Adam."""
    passes: str = "separate"
    """Whether batch statistics are of each domain or of both: "separate", "joint"."""
    domain_follows: bool = False
    """Whether the ramp scales the domain classifier's own loss too (DANN)."""


class Setting(NamedTuple):
    """What a method is built from; `settings` are `Settings`, or an experiment's own."""

    parts: Parts
    domains: Domains
    settings: Any
    steps: int
    adam: Optimizer

    @property
    def ramp(self) -> Any:
        return games.dann_schedule(self.steps, highest=self.settings.weight)

    @property
    def tasks(self) -> tuple[games.Task, ...]:
        return (games.source_task(self.parts.head, self.domains),)


def build(parts: Callable[[Any, Spec], Parts], settings: Settings, spec: Spec) -> Game:
    """The method's game on the two sources of the data, the first of which is labelled.

    Args:
        parts: `(settings, spec) -> Parts`; an experiment's own networks.
    """
    adam = optax.adam(settings.learning_rate)
    return METHODS[settings.method](setting(parts(settings, spec), settings, spec, adam))


def setting(parts: Parts, settings: Any, spec: Spec, optimizer: Optimizer) -> Setting:
    """What a method is built from; of the two sources of the data the first is labelled."""
    source, target = spec.sources
    return Setting(parts, Domains(source, target, settings.passes), settings, spec.steps, optimizer)


def blank(game: Game, spec: Spec) -> dict[str, dict[str, Any]]:
    """Zeros of the shapes that a game's groups have, for one that goes on from it."""
    batch = {
        **{f"images/{name}": jnp.zeros((2, *spec.image_shape)) for name in spec.sources},
        **{f"labels/{name}": jnp.zeros(2, jnp.int32) for name in spec.sources},
    }
    shapes = jax.eval_shape(game.init, jax.random.key(0), batch)
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)


def _source(s: Setting) -> Game:
    return games.multitask(s.parts.trunk, s.tasks, s.adam)


def _supervised(s: Setting) -> Game:
    (task,) = s.tasks
    task = task._replace(source=s.domains.images[1], targets=s.domains.labels[1])
    return games.multitask(s.parts.trunk, (task,), s.adam)


def _dann(s: Setting) -> Game:
    own = s.ramp if s.settings.domain_follows else 1.0
    parts = (s.parts.trunk, s.tasks, s.parts.domain)
    return games.dann(*parts, s.adam, domains=s.domains, weight=s.ramp, domain_weight=own)


def _cdan(s: Setting, *, entropy: bool = True) -> Game:
    parts = (s.parts.trunk, s.tasks, s.parts.domain)
    return games.cdan(*parts, s.adam, domains=s.domains, weight=s.ramp, entropy=entropy)


def _coral(s: Setting) -> Game:
    return games.coral(s.parts.trunk, s.tasks, s.adam, domains=s.domains, weight=s.ramp)


def _mmd(s: Setting) -> Game:
    return games.mmd(s.parts.trunk, s.tasks, s.adam, domains=s.domains, weight=s.ramp)


def _wdgrl(s: Setting) -> Game:
    parts = (s.parts.trunk, s.tasks, s.parts.domain)
    adams = Optimizers(s.adam, s.adam)
    return games.wdgrl(*parts, adams, domains=s.domains, weight=s.ramp)


def _mcd(s: Setting) -> Game:
    return games.mcd(s.parts.trunk, s.parts.head, s.adam, domains=s.domains, weight=s.ramp)


def _dsn(s: Setting) -> Game:
    parts = (s.parts.trunk, s.parts.private, s.parts.dec, s.tasks, s.parts.domain)
    return games.dsn(*parts, s.adam, domains=s.domains, gamma=s.ramp)


METHODS: dict[str, Callable[[Setting], Game]] = {
    SOURCE_ONLY: _source,
    SUPERVISED: _supervised,
    "dann": _dann,
    "cdan": _cdan,
    "coral": _coral,
    "mmd": _mmd,
    "wdgrl": _wdgrl,
    "mcd": _mcd,
    "dsn": _dsn,
}


def evaluate(e: Evaluation) -> dict[str, Any]:
    """Accuracy and validators of two domains; the accuracy alone where there is one data set."""
    if not e.dataset.sources:
        return {picks.ACCURACY: class_scores(e)["test_accuracy"]}
    source, target = (one.name for one in e.dataset.sources)
    return picks.scores(e, source, target)


def candidates(config: Config) -> list[str]:
    """The arms that a label-free choice may fall on: all but the one with the target's labels."""
    return [name for name in chosen_arms(config) if name != SUPERVISED]


def by_fold(config: Config, chosen: Callable[[str], Mapping[int, picks.Pick]]) -> list[dict]:
    """Accuracies by seed, for every fold."""
    return [picks.accuracies(chosen(fold)) for fold in config.folds]


def shown(by: Sequence[Mapping[int, float]]) -> list[str]:
    """Per cent for every fold, and the mean of the folds."""
    return [tables.mean_std(found, 100) for found in (*by, tables.mean_over(by))]


def arms_table(config: Config, cells: tables.Cells, names: Sequence[str]) -> str:
    """A row an arm: the last step's accuracy on every fold and in the mean, and the mean picks.

    Args:
        names: of the folds, as the header has them.
    """
    rows = []
    for name, arm in chosen_arms(config).items():
        finals, free, best = (
            by_fold(config, lambda fold, f=f, n=name: f(n, fold))
            for f in (
                lambda n, fold: picks.last(cells, n, fold=fold),
                lambda n, fold: picks.picked(cells, [n], CHOSEN, fold=fold),
                lambda n, fold: picks.oracle(cells, [n], fold=fold),
            )
        )
        means = [tables.mean_std(tables.mean_over(x), 100) for x in (free, best)]
        rows.append([arm.text, *shown(finals), *means])
    header = ["arm (target test accuracy %, last step)", *names, "mean"]
    return tables.markdown([*header, "mean, label-free pick", "mean, *oracle* pick"], rows)


def picks_table(config: Config, cells: tables.Cells, names: Sequence[str]) -> str:
    """A row a validator: method and checkpoint chosen by it on every fold, against source-only.

    The row of chance says what the choice of arms alone is worth: it is what a validator must beat.
    """
    arms = candidates(config)
    base = by_fold(config, lambda fold: picks.last(cells, SOURCE_ONLY, fold=fold))
    rows = [["source only, last step", *shown(base), ""]]
    for by in (CHOSEN, *(name for name in picks.BEST if name != CHOSEN)):
        found = by_fold(config, lambda fold, by=by: picks.picked(cells, arms, by, fold=fold))
        text = f"by {by}" + (" (the one that was to count)" if by == CHOSEN else "")
        rows.append([text, *shown(found), _gain(found, base)])
    found = [picks.chance(cells, arms, fold=fold) for fold in config.folds]
    rows.append(["chance: the mean of all arms and checkpoints", *shown(found), _gain(found, base)])
    found = by_fold(config, lambda fold: picks.oracle(cells, arms, fold=fold))
    rows.append(["*oracle*: by the target's test labels", *shown(found), _gain(found, base)])
    header = ["method and checkpoint chosen", *names, "mean", "minus source only, 95 %"]
    return tables.markdown(header, rows)


def _gain(found: Sequence[Mapping[int, float]], base: Sequence[Mapping[int, float]]) -> str:
    """The mean difference over folds, with its interval over seeds where there are several."""
    a, b = tables.mean_over(found), tables.mean_over(base)
    seeds = set(a) & set(b)
    if not seeds:
        return "-"
    mean = 100 * sum(a[s] - b[s] for s in seeds) / len(seeds)
    interval = tables.paired(a, b)
    if interval is None:
        return f"{mean:+.1f}"
    return f"{mean:+.1f} ({100 * interval.low:+.1f} .. {100 * interval.high:+.1f})"


def chained(first: Network, second: Network) -> Network:
    """One network of two, the second on what the first gives; without mutable collections."""
    return Network(
        functools.partial(_init_chain, first, second), functools.partial(_run, first, second)
    )


def _init_chain(first: Network, second: Network, key: jax.Array, images: jax.Array):
    keys = jax.random.split(key)
    variables = first.init(keys[0], images)
    context = Context(keys[0], jnp.zeros((), jnp.int32))
    hidden, _ = first.apply(variables, images, context=context)
    rest = second.init(keys[1], hidden)
    return {"params": {"first": variables["params"], "second": rest["params"]}}


def _run(first: Network, second: Network, variables: Any, images: jax.Array, *, context: Context):
    params = variables["params"]
    hidden, _ = first.apply({"params": params["first"]}, images, context=context.fold("first"))
    return second.apply({"params": params["second"]}, hidden, context=context.fold("second"))


def dense(spec: Spec) -> Network:
    """A decoder of one dense layer, for reconstructions."""
    return nets.from_linen(nets.MLPGenerator((), spec.image_shape, output="none"))
