"""All workspaces: simulated one after the other, and judged."""

import math
from collections import Counter

from tests.truth.conf import ALL, REMINDED, RecordingChannel, alias
from tests.truth.figures import FIGURES, STORMS, Year
from tests.truth.judge import Judge
from tests.truth.poller import Poller
from tests.truth.rates import judge_messages

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
        sent = RecordingChannel.messages
        sent.clear()
        poller.run()
        judge = Judge(poller)
        for name, faults in judge.judge().items():
            year.faults[name] += faults
        rates, faults = judge_messages(judge, sent[ALL], sent[REMINDED])
        year.add_rates(rates)
        year.faults[STORMS] += faults
        year.did["messages"] += len(sent[ALL])
        year.did += poller.did
    year.did["operations"] = ImportOperation.objects.count()
    year.did["transitions"] = StatusTransition.objects.count()
    year.did["alerts"] = Alert.objects.filter(channel=ALL).count()
    for reason, count in Counter(
        ImportOperation.objects.values_list("end_reason", flat=True)
    ).items():
        year.did[f"ended: {reason or 'not'}"] = count
    return year


def workspaces_for(imports: int) -> int:
    """Return over how many workspaces that many imports are distributed."""
    return max(1, math.ceil(imports / IMPORTS_PER_WORKSPACE))
