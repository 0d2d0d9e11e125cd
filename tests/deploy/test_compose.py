"""The compose files, .env.example and deploy/setup agree with the settings and with each other."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import importmonitor
from project.entrypoint import COMMANDS

ROOT = Path(__file__).resolve().parent.parent.parent


class _Loader(yaml.SafeLoader):
    """Knows Compose's tag for a value that the merge of two files removes."""


_Loader.add_constructor("!reset", lambda _loader, _node: [])


def load_compose(path: Path) -> dict[str, Any]:
    """Return a compose file's content."""
    document: dict[str, Any] = yaml.load(path.read_text(), _Loader)
    return document


COMPOSE = load_compose(ROOT / "compose.yaml")
DEMO = load_compose(ROOT / "compose.demo.yaml")
ASSIGNMENT = re.compile(r"^#?([A-Z_]+)=(.*)$", re.MULTILINE)


def documented_variables() -> set[str]:
    """Return the variables that docs/settings.md has a row for."""
    text = (ROOT / "docs" / "settings.md").read_text()
    section = text.partition("## Environment of the project")[2].partition("\n## ")[0]
    names = {
        name
        for row in re.findall(r"^\| (`.+)$", section, re.MULTILINE)
        for name in re.findall(r"`([A-Z_]+|…_[A-Z_]+)`", row.split(" | ")[0] + row.split(" | ")[1])
    }
    return {name.replace("…_", "ROCKETCHAT_") for name in names}


def variables_read() -> set[str]:
    """Return the variables that the settings and gunicorn's configuration read."""
    names = set()
    for path in ("project/settings.py", "deploy/gunicorn.conf.py"):
        text = (ROOT / path).read_text()
        names |= set(re.findall(r'(?:read_\w+|environ\.get)\(\s*"([A-Z_]+)"', text))
    return names


def test_env_example_has_every_documented_variable_once() -> None:
    names = [name for name, _ in ASSIGNMENT.findall((ROOT / ".env.example").read_text())]
    assert len(names) == len(set(names))
    # The first is the name of this file, the second an example of a workspace.
    assert set(names) == documented_variables() - {"ENV_FILE", "ROCKETCHAT_ACME_URL"}


def test_variables_that_are_read_are_documented() -> None:
    assert variables_read() - documented_variables() == set()


def test_env_example_sets_nothing() -> None:
    for line in (ROOT / ".env.example").read_text().splitlines():
        assert not line or line.startswith("#")


@pytest.mark.parametrize("name", [*COMPOSE["services"], "rocketchat"])
def test_service_is_hardened(name: str) -> None:
    service = (DEMO["services"] | COMPOSE["services"])[name]
    assert service["restart"] == "unless-stopped"
    assert service["read_only"] is service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert "privileged" not in service
    assert service["healthcheck"]


def test_ports_are_published_on_loopback() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:${WEB_PORT:-8000}:8000"]
    assert not any("ports" in service for service in DEMO["services"].values())


def test_secrets_are_files_that_services_may_read() -> None:
    for service in COMPOSE["services"].values():
        environment = service["environment"]
        mounted = {f"/run/secrets/{name}" for name in service["secrets"]}
        files = {value for name, value in environment.items() if name.endswith("_FILE")}
        assert files == mounted
        assert set(service["secrets"]) <= COMPOSE["secrets"].keys()
        assert not any(name.endswith(("PASSWORD", "KEY", "TOKEN")) for name in environment)


def test_variables_of_services_are_documented() -> None:
    for file in (COMPOSE, DEMO):
        for name in ("web", "watch"):
            environment = file["services"][name]["environment"]
            names = {variable.removesuffix("_FILE") for variable in environment}
            assert names <= documented_variables()


def test_services_run_roles_of_the_image() -> None:
    for name in ("web", "watch"):
        [role, *_] = COMPOSE["services"][name].get("command", ["web"])
        assert role in COMMANDS
    assert COMPOSE["services"]["web"]["environment"]["MIGRATE_ON_START"] == "on"
    assert "MIGRATE_ON_START" not in COMPOSE["services"]["watch"]["environment"]


def test_demo_replaces_every_secret_and_reads_no_env_file() -> None:
    assert DEMO["secrets"].keys() == COMPOSE["secrets"].keys()
    for secret in DEMO["secrets"].values():
        assert (ROOT / secret["file"]).is_file()
    for name in ("web", "watch"):
        assert DEMO["services"][name]["env_file"] == []
    assert DEMO["name"] != COMPOSE["name"]


def test_build_context_has_only_what_the_image_needs() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    assert {line for line in lines if line.startswith("!")} == {
        *("!LICENSE", "!manage.py", "!requirements/image.txt", "!deploy/gunicorn.conf.py"),
        *("!importmonitor", "!project", "!templates"),
    }


def test_label_has_the_version() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"\nARG VERSION={importmonitor.__version__}\n" in dockerfile


def test_image_has_the_pins_of_the_host() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        return set(re.findall(r"^\S+==\S+", text, re.MULTILINE))

    assert pins("host") <= pins("image")


# ---- deploy/setup

ANSWERS = {
    "ROCKETCHAT_URL": "https://chat.example.org/a&b|c",
    "ROCKETCHAT_USER_ID": "d26x6zSkaPSe5gCyy",
    "ROCKETCHAT_AUTH_TOKEN": "1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE",
}


def set_up(folder: Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a copy of deploy/setup in a folder."""
    (folder / "deploy").mkdir(exist_ok=True)
    shutil.copy(ROOT / "deploy" / "setup", folder / "deploy")
    shutil.copy(ROOT / ".env.example", folder)
    path = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        [folder / "deploy" / "setup"],
        env=path | options.pop("env", {}),
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.parametrize("is_asked", [True, False])
def test_setup_writes_settings_and_secrets(tmp_path: Path, *, is_asked: bool) -> None:
    answers = "".join(f"{answer}\n" for answer in ANSWERS.values())
    options = {"input": answers} if is_asked else {"env": ANSWERS, "stdin": subprocess.DEVNULL}
    result = set_up(tmp_path, **options)
    assert result.returncode == 0, result.stderr
    lines = (tmp_path / ".env").read_text().splitlines()
    values = dict(line.split("=", 1) for line in lines if re.match("[A-Z]", line))
    assert values == {
        "ROCKETCHAT_URL": ANSWERS["ROCKETCHAT_URL"],
        "ROCKETCHAT_USER_ID": ANSWERS["ROCKETCHAT_USER_ID"],
        "SECURE_SSL_REDIRECT": "off",
        "SECURE_COOKIES": "off",
    }
    assert (tmp_path / "secrets/rocketchat_token").read_text() == ANSWERS["ROCKETCHAT_AUTH_TOKEN"]
    secrets = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert {f"secrets/{name}" for name in secrets} == {
        secret["file"] for secret in COMPOSE["secrets"].values()
    }
    assert secrets["secret_key"] != secrets["database_password"]
    assert all(
        re.fullmatch("[0-9a-f]{64}", secrets[name]) for name in list(secrets) if "_t" not in name
    )


def test_only_the_owner_and_containers_can_read_secrets(tmp_path: Path) -> None:
    set_up(tmp_path, env=ANSWERS)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / ".env", tmp_path / "secrets", *(tmp_path / "secrets").iterdir())
    }
    assert modes.pop(".env") == 0o600
    assert modes.pop("secrets") == 0o700
    assert set(modes.values()) == {0o644}


def test_setup_keeps_what_exists(tmp_path: Path) -> None:
    set_up(tmp_path, env=ANSWERS)
    before = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    result = set_up(tmp_path, env={"ROCKETCHAT_URL": "https://other.example"})
    assert result.returncode == 0
    assert {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_setup_that_is_interrupted_writes_no_half_file(tmp_path: Path) -> None:
    result = set_up(tmp_path, input="https://chat.example.org\n")
    assert result.returncode == 1
    assert "ROCKETCHAT_USER_ID is missing." in result.stderr
    assert not (tmp_path / ".env").exists()
    # It can be run again.
    assert set_up(tmp_path, env=ANSWERS).returncode == 0
