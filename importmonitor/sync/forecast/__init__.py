"""How long an import will take, from its counters and from the imports before it.

A user takes Rocket.Chat longer than a message, by a factor that differs between workspaces and
hardly from one import to the next. So the rest of an import is forecast step by step:

1. The work of a step is its records, each as many seconds as it took in the workspace's latest
   imports by the same importer; else in any workspace's; else all count alike, but a user as three
   others. The median of those imports, so that an odd one does not matter. Work within a step is
   spread as it was then, unless the present step contradicts: an import that slowed down towards
   its end will do so again.
2. This import's slowness is its time by that work. What is observed of it, in the steps before and
   in the present one, is weighed against the imports before by how much either has varied (a
   normal distribution of its logarithm, with a part that all steps share). At the beginning of a
   step the past decides, later the present rate.
3. Where the present step becomes slower or faster all the time, the trend continues: how a step
   develops is known only for one like it.
4. The total may still grow: as in the imports before, or else by the rest as it did lately.

The same distribution says how sure all this is: `low` to `high` is meant to hold the truth four
times of five. At half of the time it does so 70 to 100 times of a hundred, at the very end of an
import less often (`python -m tests.truth.time_left`).
"""

from importmonitor.sync.forecast.estimate import forecast
from importmonitor.sync.forecast.types import Forecast, PresentImport
from importmonitor.sync.rate import Sample
from importmonitor.sync.speeds import Counts, PastImport, StepSpeed, Transition, learn

__all__ = [
    "Counts",
    "Forecast",
    "PastImport",
    "PresentImport",
    "Sample",
    "StepSpeed",
    "Transition",
    "forecast",
    "learn",
]
