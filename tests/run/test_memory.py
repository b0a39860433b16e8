"""glibc takes the setting; other systems are told so, without an error."""

import ctypes

from gan_mtl.run import memory


def test_it_says_whether_the_setting_was_taken(monkeypatch):
    assert memory.keep_memory() in (True, False)

    def absent(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", absent)
    assert memory.keep_memory() is False
