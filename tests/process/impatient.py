"""`manage.py`, but what fails is tried again after a tenth of a second:

python -m tests.process.impatient COMMAND [ARGUMENT…]
"""

import os
import sys

from django.core.management import execute_from_command_line

from importmonitor import pacing

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    pacing.FIRST_PAUSE = pacing.LONGEST_PAUSE = 0.1
    execute_from_command_line(["manage.py", *sys.argv[1:]])
