"""Tables of domain adaptation from hand-made cells: what counts, against what, and as what."""

from experiments import _adaptation as adaptation
from experiments import digits_to_digits, fsdd_speakers
from gan_mtl.run.config import Arm, Config

ARMS = {name: Arm(None, None, name) for name in ("source", "dann", "supervised")}
CONFIG = Config("x", ARMS, None, None, folds=("one", "two"), seeds=2)  # pyright: ignore


def cell(arm, fold, seed, *lines):
    """Evaluations of an accuracy and what all validators say."""
    signed = {"snd": 1, "entropy": -1, "weighted_risk": -1, "dev": -1, "source_accuracy": 1}
    found = [
        {"step": i, "target_accuracy": a, "information": v}
        | {name: sign * v for name, sign in signed.items()}
        for i, (a, v) in enumerate(lines)
    ]
    place = {"arm": arm, "labels": None, "seed": seed, "data": fold}
    return {**place, "scores": found[-1], "evaluations": found}


CELLS = [
    cell(arm, fold, seed, *lines)
    for seed in (0, 1)
    for fold, shift in (("one", 0.0), ("two", 0.2))
    for arm, lines in {
        "source": [(0.5 + shift, 0.1), (0.4 + shift, 0.0)],
        "dann": [(0.6 + shift, 0.9), (0.7 + shift, 0.5)],
        "supervised": [(1.0, 9.0)],
    }.items()
]


def row(table, start):
    """The cells of a row."""
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {start}")]
    return [text.strip() for text in line.strip("|").split("|")][1:]


def test_a_choice_is_never_of_the_arm_with_the_targets_labels_and_counts_from_source_only():
    table = adaptation.picks_table(CONFIG, CELLS, ["1", "2"])
    assert row(table, "source only")[:3] == ["40.0 ± 0.0", "60.0 ± 0.0", "50.0 ± 0.0"]
    wanted = ["60.0 ± 0.0", "80.0 ± 0.0", "70.0 ± 0.0", "+20.0 (+20.0 .. +20.0)"]
    assert row(table, "by information") == wanted == row(table, "by dev")
    assert row(table, "*oracle*")[2:] == ["80.0 ± 0.0", "+30.0 (+30.0 .. +30.0)"]
    assert row(table, "chance") == [
        "55.0 ± 0.0",
        "75.0 ± 0.0",
        "65.0 ± 0.0",
        *row(table, "chance")[3:],
    ]
    assert row(table, "chance")[3] == "+15.0 (+15.0 .. +15.0)"


def test_arms_have_their_last_step_by_fold_and_three_means():
    table = adaptation.arms_table(CONFIG, CELLS, ["1", "2"])
    last, mean = ["70.0 ± 0.0", "90.0 ± 0.0"], ["80.0 ± 0.0", "70.0 ± 0.0", "80.0 ± 0.0"]
    assert row(table, "dann") == [*last, *mean]
    assert row(table, "supervised")[2:] == ["100.0 ± 0.0"] * 3


def test_nothing_measured_is_a_dash():
    table = adaptation.picks_table(CONFIG, [], ["1", "2"])
    assert row(table, "by information") == ["-", "-", "-", "-"]


def test_directions_are_named_and_both_protocols_have_published_values():
    names = [digits_to_digits.direction(fold) for fold in digits_to_digits.FULL]
    assert names == ["MNIST → USPS", "USPS → MNIST", "MNIST → MNIST-M"]
    assert [digits_to_digits.direction(fold) for fold in digits_to_digits.P1] == names[:2]
    for part, values in digits_to_digits.PUBLISHED.items():
        assert set(values) <= set(names), part
        assert {arm for of in values.values() for arm in of} <= set(digits_to_digits.ARMS)
    assert set(digits_to_digits.ASKED) <= set(names)
    assert fsdd_speakers.FOLDS[0] == "joined:fsdd:not-george+fsdd:only-george"
