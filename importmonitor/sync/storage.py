"""What of a remote document the database can store: the rest is left out, as if unreadable."""

import json
from dataclasses import replace
from typing import Any

from importmonitor.models.charsets import Storage, can_store, find_storage
from importmonitor.rocketchat.operation import TEXT_KEYS, Operation, substitute_id


def storable_operations(operations: list[Operation]) -> list[Operation]:
    """Return operations without what the database cannot store.

    Everything is stored in a database that is set up as documented, and nothing is queried unless
    there is text that is not ASCII.
    """
    storage = find_storage(text for operation in operations for text in _texts(operation))
    if storage == Storage():
        return operations
    return [storable_operation(operation, storage) for operation in operations]


def storable_operation(operation: Operation, storage: Storage) -> Operation:
    """Return an operation without the texts that cannot be stored; `unreadable` names them."""
    left_out = [name for name in TEXT_KEYS if not can_store(getattr(operation, name), storage.text)]
    values: dict[str, Any] = dict.fromkeys(left_out, "")
    unreadable = [TEXT_KEYS[name] for name in left_out]
    if not can_store(operation.remote_id, storage.text):
        values["remote_id"] = substitute_id(operation.payload)
        unreadable.append("_id")
    payload = {
        key: value
        for key, value in operation.payload.items()
        if can_store(_dump({key: value}), storage.json)
    }
    unreadable += [*operation.unreadable, *(key for key in operation.payload if key not in payload)]
    # The name of a key can be what cannot be stored.
    storable_names = [name for name in unreadable if can_store(name, storage.json)]
    return replace(
        operation, **values, payload=payload, unreadable=list(dict.fromkeys(storable_names))
    )


def _texts(operation: Operation) -> list[str]:
    names = [getattr(operation, name) for name in TEXT_KEYS]
    return [*names, operation.remote_id, _dump(operation.payload), *operation.unreadable]


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
