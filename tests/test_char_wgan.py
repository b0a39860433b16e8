"""The floor beside generated lines: as many training lines, and shares where there is a rule."""

import dataclasses

import numpy as np
import pytest

from experiments import char_wgan
from gan_mtl import data, metrics
from gan_mtl.data import text
from gan_mtl.run.evaluate import Evaluation


@pytest.fixture(scope="module")
def sums():
    return data.load("text:sums")


def scores(dataset, count):
    """Of a generator that repeats the first test lines."""

    def sample(n, labels):
        del labels
        return dataset.test.images[:n]

    e = Evaluation(None, None, sample, dataset, None, None, 0, None)  # pyright: ignore
    return char_wgan.evaluate(e, count)


def test_the_floor_is_of_as_many_training_lines_as_are_generated(sums):
    letters = text.alphabet(sums)
    training, test = (text.decode(s.images, letters) for s in (sums.train, sums.test))
    all_of_them = [metrics.ngram_divergence(training, test, n) for n in char_wgan.GRAMS]
    found = scores(sums, 300)
    floor = [found[f"train_divergence_{n}"] for n in char_wgan.GRAMS]
    lot = np.random.default_rng(0).choice(training, 300, replace=False).tolist()
    assert all(few > many for few, many in zip(floor, all_of_them, strict=True))
    any_300 = metrics.ngram_divergence(lot, test, 4)
    assert floor[3] == pytest.approx(any_300, rel=0.1), "the lines stand in their rule's order"
    assert scores(sums, 300) == found, "always the same lines"
    assert found["valid"] == found["new"] == 1.0


def test_lines_of_a_file_have_no_rule_and_their_row_no_shares(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(f"line {i % 7}" for i in range(40)))
    found = scores(data.load(f"text:{path}"), 4)
    assert "valid" not in found
    for name, shares in ((f"text:{path}", ["-"] * 3), ("text:numbers", ["100", "0", "100"])):
        config = dataclasses.replace(char_wgan.CONFIG, data=name)
        cells = [{"arm": arm, "labels": None, "seed": 0, "scores": found} for arm in config.arms]
        rows = char_wgan.tabulate(config, cells).splitlines()
        row = next(line for line in rows if line.startswith("| training lines"))
        assert [word.strip() for word in row.split("|")[-4:-1]] == shares
