"""Some weeks of imports, held against the simulator's log; `tests.truth` lives the whole year.

What is drawn depends on the seed alone, so a failure can be had again:
`python -m tests.truth --imports 40 --seed …`, with as many workspaces as here.
"""

import os
from typing import Any

import pytest

from tests import truth

pytestmark = pytest.mark.django_db

IMPORTS, WORKSPACES = (400, 2) if os.environ.get("LONG") else (40, 1)


def test_what_is_stored_is_what_happened(settings: Any) -> None:
    settings.IMPORTMONITOR = truth.configuration(WORKSPACES)
    lived = truth.live(IMPORTS, seed=0, workspaces=WORKSPACES)
    assert lived.faults == {figure: [] for figure in truth.FIGURES}
    # It was not for want of anything to judge.
    assert lived.did["operations"] > IMPORTS * 0.9
    for what in ("looks at one that is going", "looks that failed", "restarts", "gaps", "reopened"):
        assert lived.did[what], what
