"""The page about compatibility says what is tested."""

import re
import tomllib

from tests import compatibility


def test_page_is_up_to_date() -> None:
    assert compatibility.PAGE.read_text() == compatibility.render(), (
        "Run `python -m tests.compatibility`."
    )


def test_every_test_of_another_package_is_named() -> None:
    page = compatibility.render()
    for path in compatibility.modules():
        assert path.exists()
        assert f"[{path.stem}]" in page
    assert all(package in page for names in compatibility.MODULES.values() for package in names)


def test_every_version_of_the_metadata_is_tested() -> None:
    project = tomllib.loads((compatibility.ROOT / "pyproject.toml").read_text())
    classifiers = "\n".join(project["project"]["classifiers"])
    page = compatibility.render()
    for name, pattern in (("Django", r"Django :: (\d\.\d)"), ("Python", r"Python :: (\d\.\d+)")):
        versions = re.findall(pattern, classifiers)
        assert versions
        assert all(f"{name} {version}" in page for version in versions)
