import numpy as np
import pytest

from gan_mtl.data import validate
from gan_mtl.data.arrays import Split, hide_labels


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"batch_size": 0}, "batch_size=0; take an integer, 1 or more"),
        ({"batch_size": 2.5}, "batch_size=2.5; take an integer"),
        ({"batch_size": True}, "batch_size=True"),
        ({"batch_size": 41}, "batch_size=41, but the split has 40 examples; take at most 40"),
        ({"labelled": -1}, "labelled_batch_size=-1; take an integer, 0 or more"),
        ({"repeats": 0}, "repeats=0"),
    ],
)
def test_batch(toy, kwargs, message):
    good = {"batch_size": 8, "labelled": 4, "repeats": 1}
    validate.check_batch(toy.labels, **good)
    with pytest.raises(ValueError, match=message):
        validate.check_batch(toy.labels, **{**good, **kwargs})


def test_labelled_batch_without_labels(toy):
    hidden = hide_labels(toy, np.array([], int))
    with pytest.raises(ValueError, match=r"labelled_batch_size=4, but no label .* is visible"):
        validate.check_batch(hidden.labels, 8, 4, 1)


@pytest.mark.parametrize(
    "value_range", [(1.0, 1.0), (0.0, np.inf), (0.0,), "ab", None, (np.nan, 1)]
)
def test_value_range(value_range):
    with pytest.raises(ValueError, match="value_range="):
        validate.check_value_range(value_range)


@pytest.mark.parametrize(
    ("values", "guess"),
    [
        ([-1.0, 1.0], r"\(-1.0, 1.0\), by"),
        ([0, 255], r"\(0.0, 255.0\), by"),
        ([-7, 9], r"\(-7, 9\)"),
    ],
)
def test_range_says_what_the_values_look_like(values, guess):
    with pytest.raises(ValueError, match=f"value_range={guess}"):
        validate.check_range(np.array(values), (0.0, 0.5))


@pytest.mark.parametrize("dtype", [complex, str])
def test_range_of_no_real_numbers(dtype):
    with pytest.raises(ValueError, match="give real numbers"):
        validate.check_range(np.zeros(3, dtype), (0.0, 1.0))


def test_split(toy):
    validate.check_split(toy, 4)
    with pytest.raises(ValueError, match=r"train labels\[3\] is 3, outside 0 .. 2"):
        validate.check_split(toy, 3, "train ")
    with pytest.raises(ValueError, match="images has 39 examples and labels has 40"):
        validate.check_split(Split(toy.images[1:], toy.labels), 4)
