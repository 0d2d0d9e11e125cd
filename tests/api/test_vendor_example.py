"""Rocket.Chat's documentation of the endpoint: its example is returned by its schema."""

import json
from typing import Any

import pytest
from django.test import Client

from importmonitor.models import ImportOperation
from tests.api.helpers import PATH, poll

# Copied from the page unchanged: the example contradicts the schema.
SCHEMA: dict[str, Any] = json.loads("""
{
  "type": "object",
  "properties": {
    "success": {"type": "boolean"},
    "operation": {
      "type": "object",
      "properties": {
        "_id": {"type": "string"},
        "type": {"type": "string"},
        "importerKey": {"type": "string"},
        "ts": {"type": "integer"},
        "status": {"type": "string"},
        "valid": {"type": "boolean"},
        "user": {"type": "string"},
        "_updatedAt": {"type": "string"}
      }
    }
  }
}
""")
EXAMPLE: dict[str, Any] = json.loads("""
{
  "success": "true",
  "operation": {
    "_id": "7PbvsnKJD9ZAqw38C",
    "type": "Pending Avatars",
    "importerKey": "pending-avatars",
    "ts": "1635337234169",
    "status": "importer_done",
    "valid": "true",
    "user": "d26x6zSkaPSe5gCyy",
    "_updatedAt": "2021-10-27T12:20:34.184Z"
  }
}
""")
TYPES: dict[str, type] = {"boolean": bool, "integer": int, "object": dict, "string": str}


def check(value: Any, schema: dict[str, Any]) -> None:
    assert type(value) is TYPES[schema["type"]]
    if isinstance(value, dict):
        assert set(value) == set(schema["properties"])
        for key, property_schema in schema["properties"].items():
            check(value[key], property_schema)


def test_documented_example_contradicts_the_schema() -> None:
    with pytest.raises(AssertionError):
        check(EXAMPLE, SCHEMA)


def test_documented_example_is_repaired_by_the_schema(
    client: Client, headers: dict[str, str]
) -> None:
    result = poll(EXAMPLE)
    assert result.ok
    assert ImportOperation.objects.get().unreadable == []
    response = client.get(PATH, headers=headers)
    assert response.status_code == 200
    check(response.json(), SCHEMA)
    repaired = {"ts": 1635337234169, "valid": True}
    assert response.json() == {"operation": EXAMPLE["operation"] | repaired, "success": True}
