"""The process's memory on CPU."""

from __future__ import annotations

import ctypes


def keep_memory() -> bool:
    """Lets glibc keep freed memory in place of returning it to the system; False elsewhere.

    XLA on CPU allocates all temporary memory of a program at every call. Above glibc's threshold
    each call gets fresh pages, and a DCGAN step pays 13,000 page faults (10 to 30 ms) for them.
    All threads share one arena: the others' heaps end at 64 MiB and are given back when empty,
    whatever the thresholds (11,000 faults, 20 ms, in a LeNet step of two rows).
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        m_trim_threshold, m_mmap_max, m_arena_max = -1, -4, -8
        settings = {m_mmap_max: 0, m_trim_threshold: 2**31 - 1, m_arena_max: 1}
        return all([libc.mallopt(name, value) for name, value in settings.items()])
    except (OSError, AttributeError):
        return False
