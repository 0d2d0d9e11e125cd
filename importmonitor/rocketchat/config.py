"""The address and the credentials of a workspace."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class WorkspaceConfig:
    """A Rocket.Chat workspace and the credentials to poll it with.

    `url` has no trailing slash; `timeout` (for connecting, and between two bytes) and `deadline`
    (for a whole call) are in seconds. The credentials stay out of the `repr`, and so out of
    tracebacks that show local variables.
    """

    alias: str
    url: str
    user_id: str = field(repr=False)
    auth_token: str = field(repr=False)
    ca_bundle: str | None = None
    timeout: float = 10.0
    deadline: float = 30.0
    allow_http: bool = False
