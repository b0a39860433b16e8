import html.parser
import json
import re

import numpy as np
import pytest

from gan_mtl.run import images, writers
from gan_mtl.run.report import write_report

SECTIONS = [
    "Final scores",
    "The game",
    "Samples",
    "Training",
    "Relations of objectives",
    "Evaluation",
    "Classes",
    "Config",
    "Environment",
]
EVIL = "<script>alert('&')</script>"


class Page(html.parser.HTMLParser):
    """Every element in order, what is open, and the text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts, self.sources = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.sources += [v for k, v in attrs if k in ("src", "href", "background")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join("".join(f" {t}" for t in self.texts).split())


def read(folder):
    path = write_report(folder)
    assert path == folder / "report.html"
    page = Page(path.read_text())
    assert page.open == []
    assert all(source.startswith("data:image/") for source in page.sources)
    assert "script" not in page.elements and "link" not in page.elements
    headings = re.findall(r"<h2>(.*?)</h2>", path.read_text())
    assert headings == SECTIONS
    return page


def write_json(path, value):
    path.write_text(json.dumps(value))


@pytest.fixture
def run(tmp_path):
    """A run half way, with samples and two evaluations."""
    folder = tmp_path / "0001"
    folder.mkdir()
    config = {"name": "digits", "steps": 1000, "arms": {"gan": {"lr": 0.1}, "svm": {"C": 10}}}
    write_json(folder / "config.json", {"config": config, "cell": {"arm": "gan", "seed": 3}})
    write_json(folder / "env.json", {"python": "3.12.1", "devices": ["cpu"]})
    (folder / "command.txt").write_text("python -m experiments.digits --steps 1000\n")
    (folder / "game.txt").write_text("turn  objective    gen\ngen   adversarial    1\n")
    log = writers.jsonl(folder / "metrics.jsonl")
    for step in range(10, 501, 10):
        log.scalars(step, {"gen/adversarial": 1 / step, "gen/penalty": float("nan")})
    log.close()
    history = writers.jsonl(folder / "eval.jsonl")
    confusion = np.array([[8, 2], [1, 9]])
    for step in (250, 500):
        history.scalars(
            step, {"test_accuracy": step / 1000, "frechet": 9.0, "confusion": confusion}
        )
    history.close()
    for step in range(50, 501, 50):
        picture = images.grid(np.full((4, 8, 8, 1), step % 256, np.uint8), 2)
        images.write_png(folder / "samples" / f"{step:06d}.png", picture)
    images.write_png(folder / "samples" / "reals.png", picture)
    return folder


def test_a_run_that_is_going_on(run):
    page = read(run)
    text = page.text
    assert text.startswith("digits, gan, seed 3")
    assert "not finished: logged up to step 500 of 1000" in text
    assert "python -m experiments.digits --steps 1000" in text
    assert "no final scores yet: DONE is written last" in text
    assert "gen adversarial 1" in text
    assert "config.arms.gan.lr 0.1" in text and "svm" not in text
    assert "python 3.12.1" in text
    assert page.elements.count("img") == 1 + 1 + 6 + 2  # last, reals, over time, two sets of curves


def test_samples_over_time(run):
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", write_report(run).read_text())
    assert captions[:2] == ["step 500", "real images, for comparison"]
    steps = [int(c.removeprefix("step ")) for c in captions[2:8]]
    assert steps == sorted(steps) and (steps[0], steps[-1]) == (50, 500) and len(set(steps)) == 6


def test_predictions_are_shown_where_there_are_some(run):
    picture = images.grid(np.zeros((4, 8, 8, 1), np.uint8), 2)
    for name in ("segmentation", "grad_cam"):
        images.write_png(run / "predictions" / f"{name}.png", picture)
    text = write_report(run).read_text()
    assert "<h2>Predictions</h2>" in text
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert [c for c in captions if "step" not in c and "real" not in c][:2] == [
        "grad_cam",
        "segmentation",
    ]


def test_final_scores_carry_their_protocol(run):
    protocol = {"features": "cnn 32-64", "features_hash": "abf8", "fake": 1440, "ema": True}
    scores = {"step": 1000, "test_accuracy": 0.98765, "frechet": 81.2, "note": None}
    write_json(run / "DONE", {**scores, "confusion": [[5, 0], [5, 10]], "protocol": protocol})
    text = read(run).text
    assert "finished at step 1000" in text
    assert "test_accuracy 0.9877" in text and "frechet 81.2" in text
    for part in ("protocol.features cnn 32-64", "features_hash abf8", "fake 1440", "ema true"):
        assert part in text
    assert "0 0.500 1.000 0.667 5" in text  # class 0: precision 5/10, recall 5/5
    assert "1 1.000 0.667 0.800 15" in text


def test_classes_of_the_last_evaluation(run):
    text = read(run).text
    assert "0 0.889 0.800 0.842 10" in text and "1 0.818 0.900 0.857 10" in text


def test_scores_agree_with_the_metrics(run):
    from gan_mtl.metrics import classification_report

    draw = np.random.default_rng(0)
    labels, predictions = draw.integers(0, 4, 200), draw.integers(0, 5, 200)
    expected = classification_report(labels, predictions, 6)
    write_json(run / "DONE", {"confusion": expected.confusion.tolist()})
    text = read(run).text
    for k in range(6):
        rates = (expected.precision[k], expected.recall[k], expected.f1[k])
        assert " ".join([str(k), *(f"{r:.3f}" for r in rates), f"{expected.support[k]}"]) in text


def test_an_empty_folder(tmp_path):
    text = read(tmp_path).text
    for said in (
        "not finished: logged up to step 0",
        "command.txt is not there",
        "no final scores yet",
        "has no table",
        "no samples (yet)",
        "metrics.jsonl holds no value yet",
        "no evaluation yet",
        "no confusion matrix among the scores",
        "its file is not there",
    ):
        assert said in text
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_files_that_are_not_what_they_should_be(tmp_path):
    for name in ("config.json", "env.json", "DONE", "metrics.jsonl", "eval.jsonl"):
        (tmp_path / name).write_text('["torn')
    (tmp_path / "game.txt").write_bytes(b"\xff\xfe")
    assert "finished" in read(tmp_path).text
    write_json(tmp_path / "config.json", {"config": 3, "cell": [1]})
    write_json(tmp_path / "DONE", {"step": 7, "confusion": [[1, 2], [3]]})
    (tmp_path / "eval.jsonl").write_text('{"step": 1, "confusion": "none", "a": "inf"}\n')
    assert "no confusion matrix" in read(tmp_path).text


def test_everything_is_escaped(tmp_path):
    config = {"name": EVIL, "steps": EVIL, EVIL: EVIL}
    write_json(tmp_path / "config.json", {"config": config, "cell": {"arm": EVIL, "seed": EVIL}})
    write_json(tmp_path / "env.json", {EVIL: [EVIL]})
    write_json(tmp_path / "DONE", {EVIL: 1.0, "step": EVIL, "protocol": {EVIL: EVIL}})
    for name in ("command.txt", "game.txt"):
        (tmp_path / name).write_text(EVIL)
    for name in ("metrics.jsonl", "eval.jsonl"):
        (tmp_path / name).write_text(json.dumps({"step": 1, EVIL: 0.5, f"a/{EVIL}": 2}) + "\n")
    page = read(tmp_path)
    assert "script" not in page.elements
    assert page.text.count(EVIL) >= 10


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nothing; give the folder"):
        write_report(tmp_path / "nothing")
