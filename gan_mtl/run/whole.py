"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def whole(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A name to write to, in the same folder and of this process alone; becomes `path` at the end.

    Where the body raises, `path` stays as it was and nothing is left behind.
    """
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write(path: pathlib.Path, text: str) -> None:
    """Text in UTF-8 with a newline at the end."""
    with whole(path) as unfinished:
        unfinished.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
