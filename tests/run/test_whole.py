"""Files that are there whole or not at all."""

import multiprocessing

import pytest

from gan_mtl.run.whole import whole, write


def test_text_ends_in_one_newline(tmp_path):
    path = tmp_path / "notes.txt"
    write(path, "one")
    assert path.read_text() == "one\n"
    write(path, "zwölf\n")
    assert path.read_text(encoding="utf-8") == "zwölf\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "notes.txt"
    write(path, "one")
    with pytest.raises(OSError, match="disk full"), whole(path) as unfinished:
        unfinished.write_text("tw")
        raise OSError("disk full")
    assert path.read_text() == "one\n" and list(tmp_path.iterdir()) == [path]


def _write_often(path, letter):
    for _ in range(200):
        write(path, letter * 5000)


def test_two_processes_may_write_the_same_file(tmp_path):
    path = tmp_path / "notes.txt"
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write_often, args=(path, letter)) for letter in "ab"]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    assert [process.exitcode for process in writers] == [0, 0]
    assert path.read_text() in ("a" * 5000 + "\n", "b" * 5000 + "\n")
    assert list(tmp_path.iterdir()) == [path]
