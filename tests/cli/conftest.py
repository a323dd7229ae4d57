"""Fixtures of the tests that run restantectl."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from ctl import Site  # noqa: E402


@pytest.fixture
def site():
    s = Site()
    yield s
    s.close()


@pytest.fixture
def make_site():
    """make_site(text): a site with more lines in its configuration."""
    made = []

    def make(extra: str) -> Site:
        made.append(Site(extra))
        return made[-1]

    yield make
    for s in made:
        s.close()
