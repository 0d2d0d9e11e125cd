"""A year of imports: the history at its end, compared with what actually happened.

Each simulated workspace is of an era of Rocket.Chat and runs some 200 imports: one after the other,
in quick succession, one in the middle of another, too short to be seen. They complete, fail or
never end, stall for shorter and longer than the threshold, wait for input, are cancelled, cleared,
killed, invalidated by other instances and newer imports, deleted, restored from a backup, and are
reopened and run again after their end. Rocket.Chat's clock is wrong, and is set. They are polled
every few seconds or after days, by pollers that overlap, whose responses are slow, cut off between
two calls, or missing. Time is the simulator's, and the client needs no HTTP. At the end every row,
transition and alert is compared with the simulator's log, and not by the engine's code.

What cannot be known is not required. These readings are right:

-   An import is known when a response has shown it. None of those that started before the first
    poll must be known. There is no alert about their past, but about what they do from then on.
-   From 6.3 on, an import that was shown invalid before its end is interrupted for good, whatever
    Rocket.Chat calls it later; superseded, if a newer one is what made it invalid, or follows
    within two minutes. If that was not shown, the counters decide: all records are done, fewer are
    incomplete; where users counted twice can be either, both are right.
-   Which one it was depends on the last time that all were invalidated, since Rocket.Chat has no
    other trace of it. Interrupted can become superseded: one alert says one of them.
-   Pending files and avatars, and up to 6.2 all imports, run on while they are invalid, or behind a
    newer one. An hour after their end at the latest, the list has shown it. Up to 6.2, invalid ones
    are interrupted until they move, and what rests, or is only prepared, never runs on.
-   One that is invalid or hidden, and was silent for twelve hours, is interrupted, or superseded,
    until it moves: an alert about that is right, and so is the one about its real end.
-   Pending files that are done have ended when their last files have arrived, or could have.
-   `finished_at` is the first real end, however often the import was run again: between that (or
    the invalidation) and the poll that showed it. A superseded one ends when the next one starts.
-   Times are exact to two seconds, except those of imports that were first shown or ended while
    Rocket.Chat's clock had been set: three polls later the offset is known.
-   An import stalled if no response had shown progress for the threshold when the poll said so.
    The alert is due once it was watched for that long: the time between two successful polls in a
    row, of which at most half the threshold counts (`sync/fetch.py`). One at rest waits.
-   A second run makes an alert only if it ends differently from the run before: nothing is
    "finished" twice, and a new start is no news. The step shows that a second run was interrupted:
    an operation that was only reopened never gets to importing.
-   An import that was deleted in Rocket.Chat before its end is interrupted or superseded.
-   What does not happen here, since it cannot be told apart: the prepare page opened before a poll
    saw the end, and two imports that start within a millisecond. Nor does a response from before
    the last poll: the lease keeps polls apart.

    python -m tests.truth [--imports 3000] [--seed 0]

Exit status: 0 every figure is 0; 1 one is not.
"""

from tests.truth.conf import configuration
from tests.truth.figures import FIGURES
from tests.truth.workspaces import live

__all__ = ["FIGURES", "configuration", "live"]
