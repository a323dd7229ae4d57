"""The model itself against the figures of the appendix."""

import pytest
import wiremodel as wm


@pytest.mark.parametrize("name", sorted(wm.MESSAGES))
def test_figures(name):
    stored = wm.MESSAGES[name]
    assert (
        len(stored),
        wm.size(stored),
        len(wm.wire(stored)),
        len(wm.top(stored, 0)),
        len(wm.top(stored, 1)),
    ) == wm.FIGURES[name]
    assert wm.unstuff(wm.wire(stored)) == wm.plain(stored)


def test_sums():
    assert sum(wm.size(m) for m in wm.MESSAGES.values()) == 105602
    assert sum(wm.size(m) for m in wm.MAILDROP_A) == 118
