"""All workspaces: simulated one after the other, and judged."""

import math
from collections import Counter

from tests.truth.conf import alias
from tests.truth.figures import FIGURES, Year
from tests.truth.judge import Judge
from tests.truth.poller import Poller

#: Imports of a workspace: one with thousands is slow to simulate.
IMPORTS_PER_WORKSPACE = 200


def live(imports: int, seed: int, workspaces: int | None = None) -> Year:
    """Simulate that many imports, and judge. `configuration` must be in force."""
    from importmonitor.models import Alert, ImportOperation, StatusTransition

    workspaces = workspaces or workspaces_for(imports)
    year = Year({name: [] for name in FIGURES}, Counter())
    for number in range(workspaces):
        share = imports // workspaces + (number < imports % workspaces)
        poller = Poller(alias(number), f"{seed}/{number}", share)
        poller.run()
        for name, faults in Judge(poller).judge().items():
            year.faults[name] += faults
        year.did += poller.did
    year.did["operations"] = ImportOperation.objects.count()
    year.did["transitions"] = StatusTransition.objects.count()
    year.did["alerts"] = Alert.objects.count()
    for reason, count in Counter(
        ImportOperation.objects.values_list("end_reason", flat=True)
    ).items():
        year.did[f"ended: {reason or 'not'}"] = count
    return year


def workspaces_for(imports: int) -> int:
    """Return over how many workspaces that many imports are distributed."""
    return max(1, math.ceil(imports / IMPORTS_PER_WORKSPACE))
