"""The least that a script could do: ask Rocket.Chat, and keep the answer.

    python benchmarks/peers/bare_script.py FILE URL USER_ID TOKEN

No deadline, no errors, no history; one row in SQLite.
"""

import json
import sqlite3
import sys

import requests

file, url, user_id, token = sys.argv[1:]
answer = requests.get(
    f"{url}/api/v1/getCurrentImportOperation",
    headers={"X-User-Id": user_id, "X-Auth-Token": token},
    timeout=10,
)
operation = answer.json()["operation"]
with sqlite3.connect(file) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS operation (id PRIMARY KEY, status, payload)")
    connection.execute(
        "INSERT INTO operation VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE"
        " SET status = excluded.status, payload = excluded.payload",
        (operation["_id"], operation["status"], json.dumps(operation)),
    )
