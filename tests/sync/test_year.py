"""Some weeks of imports, compared with the simulator's log; `tests.truth` runs the whole year.

The imports depend on the seed alone, so a failure can be reproduced:
`python -m tests.truth --imports 40 --seed …`, with the same number of workspaces.
"""

import os
from typing import Any

import pytest

from tests import truth

pytestmark = pytest.mark.django_db

IMPORTS, WORKSPACES = (400, 2) if os.environ.get("LONG") else (40, 1)


@pytest.mark.long
def test_stored_history_matches_the_simulators_log(settings: Any) -> None:
    settings.IMPORTMONITOR = truth.configuration(WORKSPACES)
    lived = truth.live(IMPORTS, seed=0, workspaces=WORKSPACES)
    assert lived.faults == {figure: [] for figure in truth.FIGURES}
    # There was enough to compare.
    assert lived.did["operations"] > IMPORTS * 0.9
    for what in ("polls of an active import", "polls that failed", "restarts", "gaps", "reopened"):
        assert lived.did[what], what
