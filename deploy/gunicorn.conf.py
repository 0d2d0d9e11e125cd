"""gunicorn -c deploy/gunicorn.conf.py project.wsgi

Threads, because an export takes as long as its client reads; more of them than clients that hold
one, and time limits for these (project/gunicorn_worker.py).
"""

import os
from typing import Any

from gunicorn.glogging import Logger

bind = os.environ.get("BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 16
worker_class = "project.gunicorn_worker.Worker"
# Of a worker that does not react at all, and of requests that run when it is stopped.
timeout = graceful_timeout = 30
# Longer than the usual pause between two requests of a proxy.
keepalive = 5
# It can be used by every process of this user.
control_socket_disable = True


class AccessLogger(Logger):  # type: ignore[misc] # gunicorn has no types
    def atoms(self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> Any:
        atoms = super().atoms(resp, req, environ, request_time)
        # As sent: decoded, it could contain line breaks.
        return atoms | {"U": environ["RAW_URI"].partition("?")[0]}


logger_class = AccessLogger
accesslog = "-"
# No query, in which people search for names; no headers, which have credentials.
access_log_format = '%(h)s %(t)s "%(m)s %(U)s" %(s)s %(B)s %(L)s'
