"""The project's Celery app, for the extra `celery`:

celery -A project.celery worker
celery -A project.celery beat
"""

import os
from datetime import timedelta

from celery import Celery
from django.conf import settings

from importmonitor.contrib.celery.schedule import beat_schedule

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

app = Celery("project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = beat_schedule(timedelta(seconds=settings.CELERY_SYNC_EVERY))
app.autodiscover_tasks(["importmonitor.contrib.celery"])
