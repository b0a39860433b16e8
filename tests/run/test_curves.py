import io
import math

import numpy as np
import pytest
from PIL import Image

from gan_mtl.run import curves
from gan_mtl.run.curves import Line, Panel, draw, panels, score_panels, thin


def rows(steps):
    return [
        {
            "step": s,
            "disc/adversarial": 1.0 + math.sin(s),
            "disc/penalty": 0.1 if s % 40 == 0 else math.nan,
            "disc/class_accuracy": s / 1000,
            "disc/weight/class": 0.5,
            "gen/adversarial": 0.7,
            "grad_norm/disc/heads/class": 2.0 + s,
            "grad_norm/gen/gen": 0.0,
            "time/steps_per_s": 100.0,
            "broken/loss": math.inf,
            "note": "text",
            "flag": True,
        }
        for s in steps
    ]


def test_what_goes_where():
    found = {panel.title: panel for panel in panels(rows(range(0, 200, 10)))}
    assert list(found) == [
        "turn disc",
        "turn gen",
        "accuracies",
        "weights: disc",
        "gradient norms: disc",
        "gradient norms: gen",
        "time: steps_per_s",
    ]
    assert list(found["turn disc"].lines) == ["adversarial", "penalty"]
    assert list(found["accuracies"].lines) == ["disc/class_accuracy"]
    assert list(found["weights: disc"].lines) == ["class"]
    assert list(found["gradient norms: disc"].lines) == ["heads/class"]
    assert found["gradient norms: disc"].log
    assert not found["gradient norms: gen"].log  # a norm of zero has no logarithm
    assert found["turn disc"].lines["penalty"].steps.tolist() == [0, 40, 80, 120, 160]


def test_scores():
    found = score_panels(
        [
            {
                "step": s,
                "test_accuracy": 0.8,
                "recall": 0.5,
                "frechet": 30.0 - s,
                "confusion": [[1]],
            }
            for s in (1, 2)
        ]
    )
    assert [list(panel.lines) for panel in found] == [["test_accuracy", "recall"], ["frechet"]]
    assert score_panels([{"step": 1, "confusion": [[3]]}]) == ()


def test_thinning_keeps_means_and_extremes():
    steps = np.arange(10_000.0)
    values = np.where(steps == 5003, 100.0, 1.0)
    line = thin(steps, values, 200)
    assert line.steps.shape == (200,) and line.steps[0] == 24.5
    assert line.high.max() == 100.0 and line.low.max() == 1.0
    np.testing.assert_allclose(line.values.mean(), values.mean())
    few = thin(steps[:5], values[:5], 200)
    np.testing.assert_array_equal(few.steps, steps[:5])


def test_a_gap_is_not_drawn_over():
    steps = np.array([0, 10, 20, 30, 500, 510, 520], float)
    whole = curves._with_gaps(Line(steps, steps, steps, steps))
    assert whole.steps.tolist()[:4] == [0, 10, 20, 30] and math.isnan(whole.steps[4])
    assert np.isnan(whole.values).sum() == 1 and len(whole.steps) == 8
    regular = Line(steps[:4], steps[:4], steps[:4], steps[:4])
    assert not np.isnan(curves._with_gaps(regular).values).any()


def test_rows_out_of_order_and_without_steps():
    (panel,) = panels([{"step": 20, "a/x": 2.0}, {"a/x": 9.0}, {"step": 10, "a/x": 1.0}])
    assert panel.lines["x"].steps.tolist() == [10, 20]
    assert panel.lines["x"].values.tolist() == [1, 2]


def test_pictures():
    found = panels(rows(range(0, 5000, 10)))
    svg = draw(found)
    assert svg.startswith(b"<?xml") and b"<svg" in svg
    assert draw(found) == svg  # the same bytes every time
    with Image.open(io.BytesIO(draw(found, file_format="png"))) as picture:
        assert picture.size == (1560, 1560)  # two columns, four rows, 150 dots an inch
        pixels = np.asarray(picture.convert("RGB"))
    for colour in ((0, 0x72, 0xB2), (0xD5, 0x5E, 0)):
        assert (np.abs(pixels.astype(int) - colour).sum(-1) < 6).any()


@pytest.mark.parametrize("count", [1, 3])
def test_few_and_many_lines(count):
    line = thin(np.array([5.0]), np.array([1.0]))
    names = [f"line {i}" for i in range(12)]
    many = [Panel(f"panel {i}", dict.fromkeys(names, line)) for i in range(count)]
    assert draw(many, columns=2)


def test_names_are_no_mathematics():
    assert draw(panels([{"step": 1, r"a$b/_c$\\frac{": 1.0, r"a$b/d": 2.0}]))


def test_nothing_to_draw():
    assert panels([]) == () and panels([{"step": 1, "a/x": math.nan}]) == ()
    with pytest.raises(ValueError, match="there is no panel to draw"):
        draw(())
