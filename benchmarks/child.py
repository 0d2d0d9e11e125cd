"""The process that `processes.child` starts: calls functions until stdin ends."""

import importlib
import json
import os
import sys

import django

if __name__ == "__main__":
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        django.setup()
    for line in sys.stdin:
        path, *arguments = json.loads(line)
        module, _, name = path.rpartition(".")
        function = getattr(importlib.import_module(module), name)
        print(json.dumps(function(*arguments)), flush=True)
