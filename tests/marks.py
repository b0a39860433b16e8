"""Marks of parametrised cases."""

import pytest


def slow(*values):
    """These cases are left out of the quick tests: others of their test are in them."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]
