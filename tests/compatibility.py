"""Write docs/compatibility.md from what the tests and CI say about themselves.

python -m tests.compatibility
"""

import ast
import re
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "compatibility.md"
#: The tests about other software, and the packages that they are about. The first line of a
#: module's docstring says what it tests.
MODULES = {
    "tests/admin/test_unfold.py": ("django-unfold",),
    "tests/alerts/test_apprise.py": ("apprise",),
    "tests/api/test_metrics.py": ("prometheus-client",),
    "tests/clients/test_python_clients.py": ("rocket-python", "rocketchat-api"),
    "tests/contrib/test_celery.py": ("celery",),
    "tests/process/test_gunicorn.py": ("gunicorn",),
}
#: These say themselves which packages they are about.
HOSTS = "tests/hosts/test_*.py"
#: The kinds of packages; of any other, the kind is left empty.
KINDS = {
    "celery": "task queue",
    "django-axes": "authentication",
    "django-grappelli": "admin theme",
    "django-redis": "cache",
    "django-tenants": "database",
    "django-unfold": "admin theme",
    "gunicorn": "server",
    "redis": "cache",
}
#: What tests are written with, or what every project has.
TOOLS = re.compile(
    r"django|djangorestframework|django-filter|requests|build|coverage|hypothesis|mypy|playwright"
    r"|responses|ruff|time-machine|pytest.*|.*stubs|types-.*|celery-types"
)
HEADER = """\
# Compatibility

What is tested before every change. `python -m tests.compatibility` writes this page from `.ci/run`,
`.github/workflows/ci.yml`, `requirements/ci.txt` and the tests; do not edit it. What is not here
may work too. [Upgrading](upgrading.md#supported-versions) has the supported versions.
"""
LEGEND = """
**all**: all tests; with 6.1, most that use the database run on PostgreSQL alone. most: on MariaDB,
the tests that use the database; on SQLite, those of some pages, extras, docs and system checks.
package: the wheel, alone in a new project, is used as the README describes.
"""


def render() -> str:
    """Return the page."""
    sections = (
        ("Django and Python", render_versions()),
        ("Databases and caches", render_services()),
        ("Other packages", render_packages()),
        ("Projects", render_projects()),
    )
    return HEADER + "".join(f"\n## {title}\n\n{text}" for title, text in sections if text)


def render_versions() -> str:
    script = (ROOT / ".ci" / "run").read_text()
    cells: dict[tuple[str, str], str] = {}
    for name, python, django in re.findall(r"python(\d)(\d\d):(\d\.\d)", script):
        cells[django, f"{name}.{python}"] = "package"
    pinned = re.search(
        r"^django==(\d\.\d)\S* ; python_full_version < '3\.12'", pins_text(), re.MULTILINE
    )
    assert pinned
    environments = re.findall(
        r"environment (ci|django\d+) (\d\.\d+)(?: 'django~=(\d\.\d))?", script
    )
    for name, python, django in environments:
        is_partial = re.search(rf"suite {name} tests/admin", script)
        cells[django or pinned[1], python] = "most" if is_partial else "**all**"
    pythons = sorted({python for _, python in cells}, key=version_key)
    rows = [
        [f"Django {django}", *(cells.get((django, python), "") for python in pythons)]
        for django in sorted({django for django, _ in cells}, key=version_key)
    ]
    return table(["", *(f"Python {python}" for python in pythons)], rows) + LEGEND


def render_services() -> str:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    images = dict(
        service["image"].split(":")
        for job in jobs.values()
        for service in job.get("services", {}).values()
    )
    drivers = {"postgres": "psycopg", "mariadb": "mysqlclient", "redis": "redis"}
    names = {"postgres": "PostgreSQL", "mariadb": "MariaDB", "redis": "Redis"}
    rows = [["SQLite", "of Python", "", "all tests"]]
    for image, version in images.items():
        driver = drivers[image]
        tests = "Celery workers" if image == "redis" else "the tests that use a database"
        rows.append([names[image], version, f"{driver} {pins()[driver]}", tests])
    return table(["", "version", "driver", "tested with"], rows)


def render_packages() -> str:
    rows = sorted(
        [f"`{package}`", pins().get(package, ""), KINDS.get(package, ""), claim(path)]
        for path in modules()
        for package in packages(path)
    )
    return table(["package", "version", "", "tests"], rows)


def render_projects() -> str:
    """Return the tests of projects that have no other package, but are unusual in another way."""
    return "".join(f"- {claim(path)}\n" for path in modules() if not packages(path))


def modules() -> list[Path]:
    return sorted([*(ROOT / name for name in MODULES), *ROOT.glob(HOSTS)])


def claim(path: Path) -> str:
    """Return a module's first line with a link to it."""
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    assert first, f"{path} has no docstring"
    name = path.relative_to(ROOT).as_posix()
    return f"{first} ([{path.stem}](../{name}))".replace("|", r"\|")


def packages(path: Path) -> list[str]:
    """Return the packages that a module is about: those that it is skipped without, or names."""
    if about := MODULES.get(path.relative_to(ROOT).as_posix()):
        return list(about)
    text = path.read_text()
    names = set()
    for module in re.findall(r'(?:importorskip|find_spec)\("(\w+)', text):
        name = normalize(module)
        names.add(f"django-{name}" if f"django-{name}" in pins() else name)
    for name in direct_requirements():
        if re.search(rf"(?<![\w.-]){name.replace('-', '[-_]')}(?![\w-])", text):
            names.add(name)
    return sorted(name for name in names if not TOOLS.fullmatch(name))


def direct_requirements() -> set[str]:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    requirements = [item for name in ("host", "test", "ci") for item in groups[name]]
    names = (re.split(r"[^\w.-]", item)[0] for item in requirements if isinstance(item, str))
    return {normalize(name) for name in names}


def pins() -> dict[str, str]:
    """Return the version of each package that is pinned for CI."""
    lines = re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==(\S+)", pins_text(), re.MULTILINE)
    return {normalize(name): version for name, version in lines}


def pins_text() -> str:
    return (ROOT / "requirements" / "ci.txt").read_text()


def normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def version_key(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(render())
    sys.stdout.write(f"{PAGE} is written.\n")
