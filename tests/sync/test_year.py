"""Some weeks of imports, compared with the simulator's log; `tests.truth` runs the whole year.

The imports depend on the seed alone, so a failure can be reproduced:
`python -m tests.truth --imports 400 --seed …`.
"""

from typing import Any

import pytest

from tests import truth
from tests.truth.rates import OUTAGE, REMINDED_DAY, SHORT_OUTAGE, STALLED, WELL

pytestmark = pytest.mark.django_db

IMPORTS, WORKSPACES = 200, 2
#: The most messages about one subject that a channel gets, by `tests/truth/rates.py`, which judges
#: each subject by itself: an import that ends well starts and ends, and may be unusual; one that
#: stalls also stalls and resumes, each time. A channel without reminders gets no more about what
#: stays wrong, and one with REMIND_EVERY of a day one a day.
MOST = {WELL: 3, OUTAGE: 2, SHORT_OUTAGE: 0, REMINDED_DAY: 1}
#: The same, on average. Most imports of the year stall once if they do.
MEAN = {WELL: 2, STALLED: 4, OUTAGE: 2}


@pytest.mark.long
def test_stored_history_matches_the_simulators_log(settings: Any) -> None:
    settings.IMPORTMONITOR = truth.configuration(WORKSPACES)
    lived = truth.live(IMPORTS, seed=0, workspaces=WORKSPACES)
    assert lived.faults == {figure: [] for figure in truth.FIGURES}
    # There was enough to compare.
    assert lived.did["operations"] > IMPORTS * 0.9
    for what in ("polls of an active import", "polls that failed", "restarts", "gaps", "reopened"):
        assert lived.did[what], what
    for subject, most in MOST.items():
        assert max(lived.rates[subject]) <= most, subject
    for subject, mean in MEAN.items():
        counts = lived.rates[subject]
        messages = sum(number * count for number, count in counts.items())
        assert 0 < messages <= mean * counts.total(), subject
