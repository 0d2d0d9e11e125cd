"""Values that libraries can use and that no traceback, error page or `diffsettings` shows."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

HIDDEN = "[hidden]"

_PACKAGE = str(Path(__file__).parent)
_E = TypeVar("_E", bound=BaseException)


class Secret(str):
    """Text that stays out of its own `repr`, and so out of whatever shows variables or settings.

    In every other way it is the text: `str(secret)`, formatting and concatenation return it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(HIDDEN if self else "")


class _SecretBytes(bytes):
    """The same for bytes, which are a mistake wherever a setting is text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(HIDDEN.encode())


class SecretMapping(Mapping[Any, Any]):
    """A view of a mapping, in which all text is secret, at every depth.

    The values are converted when they are read: there may be thousands of workspaces.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[Any, Any]) -> None:
        self._values = values

    def __getitem__(self, key: object) -> Any:
        value = self._values[key]
        # Text first: to compare with an abstract class takes longer.
        if isinstance(value, str) or not isinstance(value, Mapping):
            return hide(value)
        return SecretMapping(value)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def get(self, key: object, default: Any = None) -> Any:
        # Faster than by an exception, as the abstract class does it.
        return self[key] if key in self._values else default

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def is_dict(self) -> bool:
        """Whether it is a view of a dict."""
        return isinstance(self._values, dict)

    def __repr__(self) -> str:
        return f"{{{HIDDEN}}}"


def hide(value: Any) -> Any:
    """Return an equal value in which all text is secret, within containers too."""
    if isinstance(value, str):
        return Secret(value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, bytes | bytearray):
        return _SecretBytes(value)
    if isinstance(value, Mapping):
        return {key: hide(item) for key, item in value.items()}
    for container in (list, tuple, set, frozenset):
        if isinstance(value, container):
            return container(map(hide, value))
    return value


def hide_credentials(environ: dict[str, Any] | None = None, **_kwargs: Any) -> None:
    """Hide a request's tokens: its WSGI environment is a variable of the server's own frames.

    A receiver of Django's `request_started`: an error can come before any view.
    """
    for name in ("HTTP_AUTHORIZATION", "HTTP_X_AUTH_TOKEN"):
        if environ and name in environ:
            environ[name] = Secret(environ[name])


def trim_traceback(error: _E) -> _E:
    """Cut the frames of libraries off an exception: their variables can hold what was sent.

    With them go the exceptions in its context, which have frames of their own.
    """
    error.__context__ = error.__cause__ = None
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        following = traceback.tb_next
        if not following.tb_frame.f_code.co_filename.startswith(_PACKAGE):
            traceback.tb_next = None
        traceback = traceback.tb_next
    return error
