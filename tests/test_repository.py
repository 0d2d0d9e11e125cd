"""CI, the hooks and the pinned requirements agree."""

import re
from pathlib import Path

import pytest
import yaml

import importmonitor

ROOT = Path(__file__).resolve().parent.parent


def ci_stages() -> list[str]:
    """Return the stages of `.ci/run`, in their order."""
    [names] = re.findall(r"^STAGES=\((.+)\)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    return str(names).split()


def test_every_stage_of_ci_is_a_function_and_every_function_a_stage() -> None:
    functions = re.findall(r"^stage_(\w+)\(\)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert functions == ci_stages()


def test_workflow_runs_every_stage_once() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    jobs = [job["strategy"]["matrix"]["stage"] for job in workflow["jobs"].values()]
    assert sorted(name for stages in jobs for name in stages) == sorted(ci_stages())
    for job in workflow["jobs"].values():
        assert job["steps"][-1]["run"] == ".ci/run ${{ matrix.stage }}"


def test_release_is_what_the_stage_built() -> None:
    """The workflow checks the tag, and only the job that publishes can."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    build, publish = workflow["jobs"]["build"], workflow["jobs"]["publish"]
    [step] = [step for step in build["steps"] if "run" in step]
    assert (step["run"], step["env"]) == (".ci/run release", {"TAG": "${{ github.ref_name }}"})
    assert workflow["permissions"] == {}
    assert "write" not in build["permissions"].get("contents")
    assert (publish["needs"], publish["permissions"]) == ("build", {"id-token": "write"})


@pytest.mark.parametrize("name", ["ci", "release"])
def test_actions_are_pinned(name: str) -> None:
    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text()
    actions = re.findall(r"uses: (.+)", text)
    assert actions
    assert all(
        re.fullmatch(r"[\w/.-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})", action) for action in actions
    )


def test_changelog_has_the_version() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    version = re.escape(importmonitor.__version__)
    assert re.fullmatch(rf"{version} (- \d{{4}}-\d\d-\d\d|\(unreleased\))", headings[0])


@pytest.mark.parametrize(
    "path", sorted((ROOT / "requirements").iterdir()), ids=lambda path: path.name
)
def test_every_requirement_is_pinned_with_hashes(path: Path) -> None:
    """And none names an index."""
    requirements = re.sub(r" *\\\n|^ +#.*\n", "", path.read_text(), flags=re.MULTILINE).splitlines()
    assert len(requirements) > 10
    for requirement in requirements:
        assert re.fullmatch(
            r"[\w.\[\]-]+==[\w.]+( ; [^#@]+?)?( +--hash=sha256:[0-9a-f]{64})+", requirement
        )


def test_installations_require_the_hashes() -> None:
    for name in ("Makefile", ".ci/run", "README.md", "Dockerfile"):
        commands = re.findall(r".*pip install.* -r .*", (ROOT / name).read_text())
        assert commands
        assert all("--require-hashes" in command for command in commands), name


def test_hook_runs_the_pinned_ruff() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    [revision] = [repo["rev"] for repo in hooks["repos"] if "ruff" in repo["repo"]]
    pins = (ROOT / "requirements" / "ci.txt").read_text()
    assert f"ruff=={revision.removeprefix('v')} " in pins
