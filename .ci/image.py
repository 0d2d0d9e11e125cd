"""Build the image and run its roles as compose.yaml does, against PostgreSQL and the simulator.

    PYTHONPATH=. TEST_DATABASE_URL=postgres://… python .ci/image.py BROKER_URL

Needs root, buildah and debootstrap, but no Docker engine: the base image is Debian's Python, and a
container is an image's files, mounted read-only, in namespaces of its own. Docker Compose itself
validates its files. The networks, the limits of resources, and PostgreSQL's image are not tested.
The exit status is not zero if anything fails.
"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from simulator.clock import Clock
from simulator.server import Server
from simulator.workspace import Workspace
from tests.process.databases import Database, new_database

REPOSITORY = Path(__file__).resolve().parent.parent
LOCAL = REPOSITORY / ".local" / "image"
BASE = LOCAL / "base.tar"
COMPOSE = LOCAL / "docker-compose"
PACKAGES = "python3,python3-venv,python-is-python3,ca-certificates"
#: What the image may add to its base, in MB.
MAX_SIZE = 160
PATIENCE = 60.0
TOKEN = "a-token-that-no-file-of-the-image-has"
#: Mount an image's files read-only, with /proc, /dev and the secrets, and become a process in it.
RUN = """
root=$1 secrets=$2; shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs tmpfs "$root/run"
mkdir "$root/run/secrets"
# Each by itself, as Docker Compose does: their folder can be unreadable.
for secret in "$secrets"/*; do
  touch "$root/run/secrets/${secret##*/}"
  mount --bind "$secret" "$root/run/secrets/${secret##*/}"
done
mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"""


def main(broker_url: str) -> int:
    """Run all checks; an AssertionError ends the program."""
    LOCAL.mkdir(parents=True, exist_ok=True)
    download()
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder) / "context"
        copy_repository(context)
        prepare(context)
        compose_config(context, "compose.yaml", "compose.demo.yaml")
        image = Image.build(context)
        try:
            image.check_contents()
            workspace = Workspace(Clock(datetime.now(UTC), 1.0), seed=1, rate_limit=None)
            workspace.add_user("me", TOKEN)
            workspace.start_import("csv", seconds=600)
            with (
                new_database(Path(folder)) as database,
                # So that a poll lasts long enough to be interrupted.
                Server(workspace, latency=1.0) as server,
                Services(image, context, database, server.url) as services,
            ):
                check_web(services)
                check_watch(services)
                check_celery(services, broker_url)
        finally:
            remove_storage()
    return 0


def copy_repository(context: Path) -> None:
    """Copy the files that git knows or would add."""
    names = run("git", "-C", str(REPOSITORY), "ls-files", "-co", "--exclude-standard", "-z")
    for name in names.split("\0"):
        if name and (REPOSITORY / name).is_file():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, context / name)


def prepare(context: Path) -> None:
    """Do what a user does before the build."""
    settings = {"ROCKETCHAT_URL": "http://127.0.0.1:1", "ROCKETCHAT_USER_ID": "me"}
    environment = os.environ | settings | {"ROCKETCHAT_AUTH_TOKEN": TOKEN}
    run(str(context / "deploy" / "setup"), env=environment, stdin=subprocess.DEVNULL)


def run(*command: str, **options: Any) -> str:
    """Run a command and return its output; raises SystemExit with it if the command fails."""
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    if result.returncode:
        output = (result.stdout + result.stderr)[-4000:]
        raise SystemExit(f"{' '.join(command)[:200]} exited with {result.returncode}:\n{output}")
    return str(result.stdout)


def buildah(*arguments: str) -> str:
    """Run buildah with a storage of its own."""
    storage = ["--root", str(LOCAL / "storage"), "--runroot", str(LOCAL / "run")]
    return run("buildah", *storage, *arguments).strip()


def remove_storage() -> None:
    """Remove all that buildah has, also what a killed run has left mounted."""
    if (LOCAL / "storage").exists():
        buildah("rm", "--all")
        shutil.rmtree(LOCAL / "storage")


def download() -> None:
    """Make an archive of Debian's Python, and unpack Docker Compose, for this and later runs."""
    if BASE.exists():
        return
    with tempfile.TemporaryDirectory(dir=LOCAL) as folder:
        root = Path(folder) / "root"
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "trixie", str(root))
        in_tmp = "cd /tmp && apt-get -qq download docker-compose && dpkg -x *.deb compose"
        run("chroot", str(root), "sh", "-c", in_tmp)
        shutil.move(root / "tmp/compose/usr/libexec/docker/cli-plugins/docker-compose", COMPOSE)
        archive = Path(folder) / "base.tar"
        excluded = ["--exclude=./tmp/*", "--exclude=./var/cache/apt/*"]
        run("tar", f"--directory={root}", *excluded, f"--file={archive}", "--create", ".")
        archive.rename(BASE)


class Image:
    """The image, and a folder with its files."""

    def __init__(self, name: str, base_size: int) -> None:
        self._container = buildah("from", "--pull-never", name)
        self.root = Path(buildah("mount", self._container))
        self.config: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", name))[
            "Docker"
        ]["config"]
        self.size = disk_usage(self.root) - base_size

    @classmethod
    def build(cls, context: Path) -> "Image":
        """Build it on the base of Debian's packages."""
        remove_storage()
        base = buildah("from", "scratch")
        buildah("add", base, str(BASE), "/")
        base_size = disk_usage(Path(buildah("mount", base)))
        buildah("commit", "--rm", base, "localhost/base")
        started = time.monotonic()
        buildah(
            *("bud", "--format", "docker", "--isolation", "chroot", "--pull-never"),
            *("--build-arg", "PYTHON_IMAGE=localhost/base", *network_options()),
            *("--tag", "localhost/importmonitor", str(context)),
        )
        print(f"built in {time.monotonic() - started:.0f} s")
        return cls("localhost/importmonitor", base_size)

    def check_contents(self) -> None:
        """Check the size, and that the image has neither secrets nor what only tests need."""
        print(f"the image adds {self.size / 1e6:.0f} MB to its base")
        assert self.size < MAX_SIZE * 1e6
        names = {path.name for path in (self.root / "app").iterdir()}
        assert names == {
            *("LICENSE", "__pycache__", "deploy", "importmonitor", "manage.py", "project"),
            *("requirements", "staticfiles", "templates"),
        }, names
        assert not (self.root / "app/project/demo.py").exists()
        grep = ["grep", "-rqF", TOKEN, str(self.root / "app"), str(self.root / "opt")]
        assert subprocess.run(grep, check=False).returncode == 1
        assert TOKEN not in json.dumps(self.config)
        sources = (self.root / "app").rglob("*.py")
        compiled = [
            path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc" for path in sources
        ]
        assert all(path.exists() for path in compiled)


def compose_config(context: Path, *names: str) -> dict[str, Any]:
    """Return what Docker Compose makes of these files; it validates them, and reads .env."""
    files = [f"--file={context / name}" for name in names]
    config: dict[str, Any] = json.loads(run(str(COMPOSE), *files, "config", "--format=json"))
    return config


def disk_usage(folder: Path) -> int:
    """Return the size of a folder's files in bytes."""
    return int(run("du", "--summarize", "--bytes", str(folder)).split()[0])


def network_options() -> Iterator[str]:
    """Yield what the build needs to reach the package index as this machine's pip does."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    values = dict(re.findall(r"^(?:global|:env:)\.([\w-]+)='(.+)'$", run(*pip), re.MULTILINE))
    names = {"cert", "default-timeout", "index-url", "proxy", "timeout"}
    lines = [f"{name} = {value}" for name, value in values.items() if name in names]
    (LOCAL / "pip.conf").write_text("\n".join(["[global]", *lines, ""]))
    yield f"--volume={LOCAL / 'pip.conf'}:/etc/pip.conf:ro"
    if certificates := values.get("cert"):
        yield f"--volume={certificates}:{certificates}:ro"


class Container:
    """A role of the image, running with the environment and the hardening of compose.yaml."""

    def __init__(
        self, image: Image, secrets: Path, service: Mapping[str, Any], environment: dict[str, str]
    ) -> None:
        defaults = dict(entry.partition("=")[::2] for entry in image.config["Env"])
        merged = defaults | environment
        self._prefix = [
            # What `cap_drop: [ALL]`, `no-new-privileges` and the image's USER do.
            *("setpriv", f"--reuid={image.config['User']}", f"--regid={image.config['User']}"),
            *("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"),
            *("env", "--ignore-environment", f"--chdir={image.config['WorkingDir']}"),
            *(f"{name}={value}" for name, value in merged.items()),
        ]
        self._root = image.root
        healthcheck = (
            service.get("healthcheck", {}).get("test") or image.config["Healthcheck"]["Test"]
        )
        self._healthcheck = healthcheck[1:]
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the container runs, then closed by close()
        command = service.get("command") or image.config["Cmd"]
        self._unshare = subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--fork"),
                *("sh", "-euc", RUN, "sh", str(image.root), str(secrets)),
                *(*self._prefix, *image.config["Entrypoint"], *command),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        self.port = int(merged["BIND"].rpartition(":")[2])

    @property
    def pid(self) -> int:
        """The process that is the container's first, by its number outside."""
        parent = self._unshare.pid
        return int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])

    @property
    def output(self) -> str:
        """What it has written so far."""
        self._output.seek(0)
        return self._output.read()

    def execute(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in the container, as `docker compose exec` does."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "chroot", str(self._root)]
        return subprocess.run(
            [*enter, *self._prefix, *command], capture_output=True, text=True, check=False
        )

    def is_healthy(self) -> bool:
        """Run its health check."""
        assert self._unshare.poll() is None, self.output
        with suppress(OSError, IndexError):
            return self.execute(*self._healthcheck).returncode == 0
        return False

    def responds(self) -> bool:
        """Return whether it serves /healthz."""
        assert self._unshare.poll() is None, self.output
        with suppress(OSError):
            return self.get("/healthz")[0].status == 200
        return False

    def get(self, path: str) -> tuple[http.client.HTTPResponse, bytes]:
        """Request a path from it; return the response and its body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        return response, response.read()

    def check_hardening(self) -> None:
        """Check that its processes are not root, gain nothing, and can write nowhere."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        fields = dict(re.findall(r"^(\w+):\s+(.+)$", status, re.MULTILINE))
        assert set(fields["Uid"].split()) == set(fields["Gid"].split()) == {"10001"}, fields
        assert fields["NoNewPrivs"] == "1"
        assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
        print(self.execute("id").stdout.strip())
        for folder in ("/app", "/tmp", "/data"):
            result = self.execute("touch", f"{folder}/file")
            assert "Read-only file system" in result.stderr, result

    def memory(self) -> int:
        """Return the memory of all its processes in bytes, shared pages divided among them."""
        namespace = Path(f"/proc/{self.pid}/ns/pid").readlink()
        total = 0
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (path / "ns/pid").readlink() == namespace:
                    rollup = (path / "smaps_rollup").read_text()
                    total += 1024 * sum(
                        map(int, re.findall(r"^Pss: +(\d+) kB", rollup, re.MULTILINE))
                    )
        return total

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the first process; return its exit status, and print how long it took."""
        started = time.monotonic()
        os.kill(self.pid, number)
        status = self._unshare.wait(PATIENCE)
        name, seconds = signal.Signals(number).name, time.monotonic() - started
        print(f"{name}: exit status {status} after {seconds:.1f} s")
        return status

    def wait(self) -> int:
        """Wait for its end; return the exit status."""
        return self._unshare.wait(PATIENCE)

    def close(self) -> None:
        """End it, with all its processes."""
        # unshare's --kill-child would not: the signal is cleared when setpriv changes the user.
        with suppress(OSError, IndexError):
            os.kill(self.pid, signal.SIGKILL)
        self._unshare.kill()
        self._unshare.wait()
        self._output.close()


class Services:
    """Containers of compose.yaml's services, and the row of the workspace that they poll."""

    def __init__(self, image: Image, context: Path, database: Database, url: str) -> None:
        self._services = compose_config(context, "compose.yaml")["services"]
        self._changes = {"DATABASE_URL": database.url, "ROCKETCHAT_URL": url}
        # How long the lease of a killed process lasts depends on it.
        self._changes["ROCKETCHAT_DEADLINE"] = "3"
        self._image, self._secrets, self._database = image, context / "secrets", database
        self._containers: list[Container] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for container in self._containers:
            container.close()

    def start(self, name: str, *command: str, **changes: str) -> Container:
        """Start a service, with another command or with changes of its environment."""
        service = dict(self._services[name])
        changes = self._changes | {"BIND": f"0.0.0.0:{free_port()}"} | changes
        if command:
            service["command"] = command
        environment = service["environment"] | changes
        container = Container(self._image, self._secrets, service, environment)
        self._containers.append(container)
        return container

    def holder(self) -> str:
        """Return who has the workspace's lease, "" if no process has it."""
        return str(self._column("holder"))

    def wait_for_poll(self) -> None:
        """Wait until a poll has ended."""
        before = self._column("last_polled_at")
        wait_until(lambda: self._column("last_polled_at") != before)

    def _column(self, name: str) -> Any:
        rows = self._database.execute(f"SELECT {name} FROM importmonitor_workspace")
        return rows[0][0] if rows else ""


def check_web(services: Services) -> None:
    """Start two servers at once on an empty database; stop one and kill the other."""
    started = time.monotonic()
    pair = [services.start("web", ALLOWED_HOSTS="imports.example.org,127.0.0.1") for _ in range(2)]
    for web in pair:
        wait_until(web.responds)
        print(f"web: first 200 after {time.monotonic() - started:.1f} s")
        wait_until(web.is_healthy)
    # Both migrate, one after the other.
    assert sorted("Applying importmonitor" in web.output for web in pair) == [False, True]
    web.check_hardening()
    check_static_files(web)
    result = web.execute("./manage.py", "check", "--database", "default")
    assert result.returncode == 0, result
    print(f"web: {web.memory() / 1e6:.0f} MB at rest")
    assert web.stop() == 0, web.output
    assert pair[0].stop(signal.SIGKILL) != 0
    # On a database that is migrated.
    started = time.monotonic()
    web = services.start("web")
    wait_until(web.responds)
    print(f"web: first 200 after {time.monotonic() - started:.1f} s, with nothing to migrate")
    assert web.stop() == 0, web.output

    web = services.start("web", SECURE_COOKIES="perhaps")
    assert web.wait() == 2
    assert web.output == "SECURE_COOKIES is 'perhaps': set it to on or off.\n", web.output


def check_watch(services: Services) -> None:
    """Stop a watch within a poll, and kill one."""
    watch = services.start("watch", "watch", "--interval=2")
    wait_until(watch.is_healthy)
    watch.check_hardening()
    print(f"watch: {watch.memory() / 1e6:.0f} MB at rest")
    wait_until(lambda: services.holder() != "")
    assert watch.stop() == 0, watch.output
    assert services.holder() == ""

    watch = services.start("watch", "watch", "--interval=2")
    wait_until(lambda: services.holder() != "")
    watch.stop(signal.SIGKILL)
    assert services.holder() != ""
    # Its lease expires.
    watch = services.start("watch", "watch", "--interval=2")
    services.wait_for_poll()
    assert watch.stop() == 0, watch.output


def check_celery(services: Services, broker_url: str) -> None:
    """Poll by Celery."""
    celery = {"CELERY_BROKER_URL": broker_url, "CELERY_SYNC_EVERY": "2"}
    # Without the tasks that an earlier run has left.
    worker = services.start("watch", "worker", "--concurrency=1", "--purge", **celery)
    beat = services.start("watch", "beat", **celery)
    services.wait_for_poll()
    for container in (beat, worker):
        container.check_hardening()
        assert container.stop() == 0, container.output


def check_static_files(web: Container) -> None:
    """Check that static files are compressed, and cached for ever."""
    manifest = json.loads(web.execute("cat", "staticfiles/staticfiles.json").stdout)["paths"]
    for name in (
        "admin/css/base.css",
        "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js",
    ):
        response, _body = web.get(f"/static/{manifest[name]}")
        assert response.status == 200
        assert response.headers["Content-Encoding"] == "gzip"
        assert "immutable" in response.headers["Cache-Control"]
    _response, page = web.get("/admin/login/")
    assert manifest["admin/css/base.css"].encode() in page


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    ends_at = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.1)


def free_port() -> int:
    """Return a port that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
