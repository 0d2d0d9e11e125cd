"""A year of imports: the history at its end, compared with what actually happened.

Each simulated workspace runs some 200 imports: one after the other, in quick succession, one in the
middle of another, too short to be seen. They complete, fail or never end, stall for shorter and
longer than the threshold, wait for input, are cancelled, cleared, interrupted by restarts, and are
reopened and run again after their end. They are polled every few seconds or after days, by pollers
that overlap, whose responses are slow, late, repeated, out of order, cut off between two calls, or
missing. Time is the simulator's, and the client needs no HTTP. At the end every row, transition and
alert is compared with the simulator's log.

What cannot be known is not required. These readings are right:

-   An import is known when a response has shown it. None of those that started before the first
    poll must be known. There is no alert about their past, but about what they do from then on.
-   The responses decide which end came first: an import that a restart interrupted, and that a
    newer one had followed before the next poll, was superseded (`sync/diff.py: _close`).
-   An import that was active when last shown, and is missing because the list failed or was late,
    is superseded when a newer one is shown. If it is shown after all, its end is the actual one,
    and if that is different news, there is another alert: "failed" after "finished".
-   `finished_at` is the first end, however often the import was run again, and lies between that
    end and the end of the first poll after it. A superseded import ends when the next one starts.
-   An import stalled if no response had shown progress for the threshold when the poll said so.
    The alert is due once it was watched for that long: the time between two successful polls in a
    row, of which at most half the threshold counts (`sync/diff.py: _track_progress`).
-   A second run makes an alert only if it ends differently from the run before: nothing is
    "finished" twice, and a new start is no news. The step shows that a second run was interrupted:
    an operation that was only reopened never gets to importing.
-   What does not happen here, since it cannot be told apart: the prepare page opened before a poll
    saw the end, and two imports that start within a millisecond.

    python -m tests.truth [--imports 3000] [--seed 0]

Exit status: 0 every figure is 0; 1 one is not.
"""

from tests.truth.conf import configuration
from tests.truth.figures import FIGURES
from tests.truth.workspaces import live

__all__ = ["FIGURES", "configuration", "live"]
