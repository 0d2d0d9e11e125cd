"""A year of imports: what stands in the history at its end, against what really happened.

Simulated workspaces live through some 200 imports each: one after the other, at once behind one
another, in the middle of one another, too short to be seen; they end well, badly and not at all,
stall for shorter and for longer than counts, wait for somebody, are cancelled, cleared, restarted
over, opened again when they had ended, and run again. They are looked at every few seconds or
after days, by pollers that overlap, whose answers are slow, late, repeated or out of order, cut
off between two calls, or do not come at all. Time is the simulator's; a client without HTTP is
what a poll asks. At the end every row, transition and alert is held against the simulator's log.

What could not be known is not asked for. These readings are right:

-   An import is known when an answer has shown it. Among those that began before the first look,
    no other can be; of them nobody is told, but of what they do from then on.
-   Of an end, what happened first is told by the answers: one that a restart interrupted and that
    a newer import had followed before anybody looked, was superseded (`changes._conclude`).
-   One that was still at work when last shown, and is not in the list because that was refused or
    late, is superseded when a newer one is shown. Shown after all, it ended as it really did, and
    if that is other news, it is told: "failed" after "finished".
-   `finished_at` is the first end, however often it was run again, and lies between that end and
    the end of the first look that came after it. Of a superseded one, the end is the beginning of
    the next.
-   An import stalled if, until the look that says so, no answer had shown a move for the threshold.
    It must be told once it was watched for so long: the time between two good looks in a row, of
    which no more than half the threshold counts (`looking._watched`).
-   A second run is told of only if it ends otherwise than the run before: nobody is told
    "finished" twice, and nobody that it starts again. One that was broken off shows by its step:
    what was merely opened again never gets to importing.
-   What does not happen here, for it could not be told apart: the prepare page opened before
    anybody saw the end, and two imports that begin within a millisecond.

    python -m tests.truth [--imports 3000] [--seed 0]

Exit status: 0 every figure is 0; 1 one is not.
"""

from tests.truth.conf import configuration
from tests.truth.figures import FIGURES
from tests.truth.workspaces import live

__all__ = ["FIGURES", "configuration", "live"]
