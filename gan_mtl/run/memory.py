"""The process's memory on CPU."""

from __future__ import annotations

import ctypes


def keep_memory() -> bool:
    """Lets glibc keep freed memory in place of returning it to the system; False elsewhere.

    XLA on CPU allocates all temporary memory of a program at every call. Above glibc's threshold
    each call gets fresh pages, and a DCGAN step pays 13,000 page faults (10 to 30 ms) for them.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        m_trim_threshold, m_mmap_max = -1, -4
        return bool(libc.mallopt(m_mmap_max, 0) and libc.mallopt(m_trim_threshold, 2**31 - 1))
    except (OSError, AttributeError):
        return False
