# The project in this repository as an image: docs/docker.md. Any image with Python 3.11 or newer
# and its venv can be the base.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
RUN python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /app
COPY requirements/image.txt requirements/
RUN pip install --no-cache-dir --no-compile --no-deps --require-hashes -r requirements/image.txt \
    && pip uninstall --quiet --yes pip \
    # The sources of compiled translations, 10 MB.
    && find /opt/venv -name '*.po' -delete
# Only what .dockerignore lists.
COPY . .
# Bytecode that is valid whatever a builder does to the times of files: with a read-only root, it
# could not be written again. The key signs nothing. The files may be unreadable to others here.
RUN SECRET_KEY=unused python manage.py collectstatic --no-input \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib /app \
    && chmod -R go=u-w /app

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="importmonitor" \
      org.opencontainers.image.description="Monitors Rocket.Chat imports" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# /data is for a volume with a SQLite database.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent importmonitor \
    && install -d -o importmonitor -g importmonitor /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
# A number, so that Kubernetes can tell that it is not root.
USER 10001
# TMPDIR: gunicorn and Celery need temporary files, which belong in memory. Nothing else has to be
# writable, not even /tmp.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TMPDIR=/dev/shm \
    BIND=0.0.0.0:8000 \
    DATABASE_URL=sqlite:////data/db.sqlite3
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-m", "project.entrypoint", "healthcheck"]
ENTRYPOINT ["python", "-m", "project.entrypoint"]
CMD ["web"]
