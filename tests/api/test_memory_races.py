"""What is remembered for a moment, while other threads answer and change things."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import Client

from importmonitor.api import memory, rocketchat, wire
from importmonitor.models import ApiToken
from tests.api.helpers import NOON, PATH, RUNNING, sync
from tests.api.test_memory import Clock, remembering


@pytest.fixture
def clock(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    with remembering(settings, monkeypatch) as clock:
        yield clock


@pytest.fixture
def ask(client: Client, headers: dict[str, str]) -> Any:
    return lambda: client.get(PATH, headers=headers)


#: What the memory adds to an answer by itself.


def key(number: int) -> memory.Key:
    return memory.Key("Endpoint", "default", str(number), "token")


def remember(number: int) -> None:
    made_in = memory.begin()
    memory.remember(
        key(number), made_in, caller="", etag='"a"', last_modified=0, headers={}, body=b"{}"
    )


def test_an_answer_that_took_its_time_is_remembered_for_what_is_left_of_the_second(
    clock: Clock, client: Client, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process revokes the token while the answer is made; it lives a second in all."""
    sync(RUNNING)
    encode = wire.encode

    def slowly(body: Any) -> bytes:
        ApiToken.objects.all()._raw_delete("default")  # no signal is sent in this process
        clock.now += 0.9
        return encode(body)

    monkeypatch.setattr(wire, "encode", slowly)
    assert client.get(PATH, headers=headers).status_code == 200
    monkeypatch.setattr(wire, "encode", encode)
    clock.now += 0.2
    assert client.get(PATH, headers=headers).status_code == 401


def test_no_token_is_kept(clock: Clock, client: Client, headers: dict[str, str]) -> None:
    sync(RUNNING)
    assert client.get(PATH, headers=headers).status_code == 200
    assert memory._answers
    assert headers["X-Auth-Token"] not in repr(memory._answers)


def test_a_permission_that_this_process_deletes_is_gone_at_once(clock: Clock, ask: Any) -> None:
    sync(RUNNING)
    assert ask().status_code == 200
    Permission.objects.filter(codename="run-import").delete()
    assert ask().status_code == 403


def test_what_was_read_before_a_revocation_is_not_remembered_after_it(
    clock: Clock, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread has read who may ask; another revokes the token; then the first remembers."""
    sync(RUNNING)

    def revoked_meanwhile(body: Any) -> bytes:
        ApiToken.objects.all().delete()
        return json.dumps(body).encode()

    monkeypatch.setattr(wire, "encode", revoked_meanwhile)
    ask()
    assert ask().status_code == 401


@pytest.mark.django_db(transaction=True)
def test_what_is_remembered_before_a_commit_is_forgotten_by_it(clock: Clock, ask: Any) -> None:
    """Django's admin revokes in a transaction; until it ends, other threads see what was."""
    sync(RUNNING)
    ask()
    (key, answer) = memory._answers.copy().popitem()
    seen = {name: value for name, value in vars(answer).items() if name != "expires_at"}
    with transaction.atomic():
        ApiToken.objects.all().delete()
        # Another thread, which does not see that yet, answers and remembers.
        memory.remember(key, memory.begin(), **seen)
    assert ask().status_code == 401


def test_it_does_not_grow_for_ever(clock: Clock) -> None:
    for number in range(1_500):
        remember(number)
    assert len(memory._answers) == 1_000
    # Who found no room is answered all the same, and has it when others' time is over.
    assert memory.recall(key(1_400)) is None
    clock.now += 1
    remember(1_400)
    assert memory.recall(key(1_400)) is not None
    assert len(memory._answers) == 1


def test_a_full_memory_still_answers(clock: Clock, ask: Any) -> None:
    for number in range(1_000):
        remember(number)
    sync(RUNNING)
    for number in range(1_000):
        remember(number)
    assert ask().json() == ask().json() == {"operation": RUNNING, "success": True}


def test_others_answer_while_it_is_swept(clock: Clock) -> None:
    class Meanwhile(float):
        def __le__(self, other: float) -> bool:
            another = threading.Thread(target=memory._answers.pop, args=(key(0), None))
            another.start()
            # It may have to wait until we are done.
            another.join(0.2)
            return super().__le__(other)

    for number in range(1_000):
        remember(number)
    memory._answers[key(5)] = replace(memory._answers[key(5)], expires_at=Meanwhile(clock.now))
    remember(1_000)
    assert memory.recall(key(1_000)) is not None


def test_threads(clock: Clock, ask: Any, headers: dict[str, str]) -> None:
    """None of them has the test's database, so that each answer can only come from memory."""
    sync(RUNNING)
    # So that no minute ends, in which calls are counted.
    with time_machine.travel(NOON, tick=False):
        _ask_from_threads(clock, ask, headers)


def _ask_from_threads(clock: Clock, ask: Any, headers: dict[str, str]) -> None:
    first = ask()

    def ask_often(_number: int) -> list[bytes]:
        return [Client().get(PATH, headers=headers).content for _ in range(25)]

    with ThreadPoolExecutor(8) as threads:
        found = [body for bodies in threads.map(ask_often, range(8)) for body in bodies]
    assert set(found) == {first.content}
    assert len(found) == 200
    clock.now += 1
    assert ask()["X-RateLimit-Remaining"] == str(1200 - 202)


def test_the_last_call_is_nobody_elses(
    clock: Clock, ask: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads find one more call left; each is answered, and nobody is told of -1."""
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"importmonitor": "2/day"}}
    sync(RUNNING)
    ask()
    unchanged, found = rocketchat._unchanged, []

    def when_another_has_come(*args: Any) -> Any:
        monkeypatch.setattr(rocketchat, "_unchanged", unchanged)
        found.append(ask())
        return unchanged(*args)

    monkeypatch.setattr(rocketchat, "_unchanged", when_another_has_come)
    found.append(ask())
    assert [each["X-RateLimit-Remaining"] for each in found] == ["0", "0"]
