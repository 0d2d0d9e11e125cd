"""All workspaces: lived through one after the other, and judged."""

import math
from collections import Counter

from tests.truth.conf import alias
from tests.truth.figures import FIGURES, Year
from tests.truth.judge import Judge
from tests.truth.life import Life

#: So many imports to a workspace: one with thousands is slow to simulate.
A_YEARS = 200


def live(imports: int, seed: int, workspaces: int | None = None) -> Year:
    """Live through so many imports, and judge. `configuration` is to be in force."""
    from importmonitor.models import Alert, ImportOperation, StatusTransition

    workspaces = workspaces or workspaces_for(imports)
    year = Year({name: [] for name in FIGURES}, Counter())
    for number in range(workspaces):
        share = imports // workspaces + (number < imports % workspaces)
        life = Life(alias(number), f"{seed}/{number}", share)
        life.live()
        for name, faults in Judge(life).judge().items():
            year.faults[name] += faults
        year.did += life.did
    year.did["operations"] = ImportOperation.objects.count()
    year.did["transitions"] = StatusTransition.objects.count()
    year.did["alerts"] = Alert.objects.count()
    for reason, count in Counter(
        ImportOperation.objects.values_list("end_reason", flat=True)
    ).items():
        year.did[f"ended: {reason or 'not'}"] = count
    return year


def workspaces_for(imports: int) -> int:
    """Return among how many workspaces so many imports are dealt."""
    return max(1, math.ceil(imports / A_YEARS))
