"""A finished run that several files look at."""

import pytest
import tiny_experiment

from gan_mtl.run import cli


@pytest.fixture(scope="session")
def semi_run(tmp_path_factory):
    """A finished run folder of the semi-supervised arm; nothing in it may be changed."""
    workdir = tmp_path_factory.mktemp("runs") / "0001"
    cli.main(tiny_experiment.CONFIG, ["--workdir", str(workdir), "--only", "semi", "--steps", "3"])
    return workdir / "labels-30" / "semi" / "seed-0"
