"""The relations on the page: matrices with signs and colours, the verdict, curves."""

import re

import pytest

from gan_mtl.run import relations_page


def rows(affinity, cosine):
    return [
        {
            "step": step,
            "model/cosine/a&~b": cosine,
            "model/magnitude/a&~b": 0.9,
            "model/affinity/a&>b": affinity,
            "model/affinity/b>a&": affinity,
        }
        for step in (10, 20, 30, 40)
    ]


@pytest.mark.parametrize(
    ("affinity", "said", "colour"),
    [(-0.2, "Train apart", relations_page.RED), (0.2, "Train together", relations_page.BLUE)],
)
def test_the_verdict_and_the_signs_are_seen(affinity, said, colour):
    text = relations_page.section(rows(affinity, affinity))
    assert said in text and "a&amp;" in text and "a& " not in text
    shaded = re.findall(r"rgba\(([\d,]+),0\.[1-9]\d*\)\">(-?0\.2)<", text)
    assert shaded and {c for c, _ in shaded} == {colour}
    assert text.count("<svg") == 0 and "data:image/svg+xml;base64," in text


def test_a_run_without_relations_says_so():
    assert "nobody looked" in relations_page.section([])


def test_a_verdict_is_left_out_where_there_are_no_affinities():
    found = [{k: v for k, v in row.items() if "affinity" not in k} for row in rows(1, 1)]
    text = relations_page.section(found)
    assert "Train" not in text and "No verdict" in text and "cosine of gradients" in text
