"""Many workspaces polled by several of Celery's workers, one of which is killed."""
