"""The address and the credentials of a workspace."""

from dataclasses import dataclass, field

from importmonitor.secret import Secret


@dataclass(frozen=True)
class WorkspaceConfig:
    """A Rocket.Chat workspace and the credentials to poll it with.

    `url` has no trailing slash; `timeout` (for connecting, and between two bytes) and `deadline`
    (for a whole call) are in seconds. The credentials stay out of the `repr`, and so out of
    tracebacks that show local variables; the token's own `repr` hides it from those of requests.
    """

    alias: str
    url: str
    user_id: str = field(repr=False)
    auth_token: str = field(repr=False)
    ca_bundle: str | None = None
    timeout: float = 10.0
    deadline: float = 30.0
    allow_http: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "auth_token", Secret(self.auth_token))

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message, row or log may contain."""
        return (self.auth_token,)
