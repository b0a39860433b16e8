"""A run on joined data sets: its batches, pictures, relations, resumption, and the way back."""

import dataclasses
import pathlib

import jax
import numpy as np
import pytest
import tiny_sources

from gan_mtl.run import probes, study
from gan_mtl.run.evaluate import evaluator
from gan_mtl.run.feed import open_stream
from gan_mtl.run.load import blank_batch, load
from gan_mtl.run.loop import Cell, Interrupted
from gan_mtl.run.record import Origin
from gan_mtl.run.writers import read_jsonl
from gan_mtl.update import variables_of

RNG = np.random.default_rng(0)


def write(folder, name, count):
    images = RNG.integers(0, 256, (count, 4, 4)).astype(np.uint8)
    np.savez(folder / f"{name}.npz", images=images, labels=np.arange(count) % 2)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The argv, the workdir and the results of a study that was stopped once and went on."""
    folder = tmp_path_factory.mktemp("sources")
    write(folder, "one", 80)
    write(folder, "two", 40)
    name = f"joined:npz:{folder}/one.npz+npz:{folder}/two.npz"
    config = dataclasses.replace(tiny_sources.CONFIG, data=name)
    origin = Origin("tiny_sources", ("--data", name))
    calls = []

    def stop():
        calls.append(1)
        return len(calls) == 2

    with pytest.raises(Interrupted):
        study.run_study(config, origin, folder / "run", stop=stop)
    return folder / "run", config, study.run_study(config, origin, folder / "run")


def test_it_goes_on_and_ends_with_its_scores(done):
    workdir, _, results = done
    (cell,) = results["cells"]
    assert cell["scores"]["seen"] == 48  # half of four fifths of 120
    turns = cell["scores"]["relations"]
    assert set(turns) == {"disc", "gen"} and turns["gen"]["verdict"] is None
    lines = read_jsonl(workdir / "joint" / "seed-0" / "relations.jsonl")
    assert [line["step"] for line in lines] == [2, 4]
    assert (workdir / "joint" / "seed-0" / "samples" / "000004.png").exists()
    assert "Relations of objectives" in (workdir / "joint/seed-0/report.html").read_text()


def test_relations_are_those_of_a_run_that_was_not_stopped(done, tmp_path):
    workdir, config, _ = done
    other = dataclasses.replace(config, seeds=2)
    study.run_study(other, Origin("tiny_sources", ("--data", config.data)), tmp_path / "whole")
    paths = [
        folder / "joint" / "seed-0" / "relations.jsonl" for folder in (workdir, tmp_path / "whole")
    ]
    stopped, whole = (read_jsonl(path) for path in paths)
    assert [set(line) for line in stopped] == [set(line) for line in whole]
    for one, two in zip(stopped, whole, strict=True):
        for name, value in one.items():
            np.testing.assert_allclose(value, two[name], rtol=1e-4, atol=1e-6)
    second = read_jsonl(tmp_path / "whole" / "joint" / "seed-1" / "relations.jsonl")
    assert second != whole


def test_fresh_is_the_state_before_the_first_step(done):
    workdir, config, results = done
    loaded = load(workdir / "joint" / "seed-0")
    dataset = study.load_data(config)
    bind = evaluator(loaded.game, loaded.spec)
    scores = []
    for state in (loaded.start, loaded.state):
        predict, _ = bind(variables_of(state), loaded.seed)
        scores.append(probes.leakage(lambda n, x, p=predict: p(f"features/{n}", x), dataset))
    found = results["cells"][0]["scores"]
    assert [found["before"], found["after"]] == scores
    params = [jax.tree.leaves(state.params["trunk"])[0] for state in (loaded.start, loaded.state)]
    assert not np.array_equal(*params)


def test_it_comes_back_with_a_column_per_source(done):
    workdir, *_ = done
    loaded = load(workdir / "joint" / "seed-0")
    assert list(loaded.spec.sources.values()) == [2, 2]
    images = loaded.sample(jax.random.key(0), 6, np.arange(6) % 2)
    assert images.shape == (6, 4, 4, 1)


def test_a_blank_batch_has_the_entries_of_the_stream(done):
    _, config, _ = done
    dataset = study.load_data(config)
    spec = study.spec_of(config, dataset)
    game = config.arms["joint"].build(config.arms["joint"].settings, spec)
    blank, real = blank_batch(config, spec, game), open_stream(config, dataset, 0, 1).batch(0)
    assert {k: (x.shape, x.dtype) for k, x in blank.items()} == {
        k: (x.shape, x.dtype) for k, x in real.items()
    }


def test_so_does_one_with_few_labels_of_the_last_source(done):
    _, config, _ = done
    config = dataclasses.replace(config, labels=(4,), labelled_batch_size=2)
    dataset = study.load_data(config)
    seen = study.visible_data(dataset, Cell("joint", 4, 0, pathlib.Path()))
    spec = study.spec_of(config, dataset)
    game = config.arms["joint"].build(config.arms["joint"].settings, spec)
    blank, real = blank_batch(config, spec, game), open_stream(config, seen, 0, 1).batch(0)
    assert {k: (x.shape, x.dtype) for k, x in blank.items()} == {
        k: (x.shape, x.dtype) for k, x in real.items()
    }


def test_a_fraction_too_small_for_a_batch_is_named_before_anything_runs(done):
    _, config, _ = done
    with pytest.raises(
        ValueError, match=r"batch_size=4, but 'npz:two.npz' has 3 .*fraction of 0.1"
    ):
        study.load_data(dataclasses.replace(config, fraction=0.1))


def test_labelled_batches_of_joined_sets_are_refused(done):
    _, config, _ = done
    with pytest.raises(ValueError, match="labelled_batch_size=4"):
        study.load_data(dataclasses.replace(config, labelled_batch_size=4))
