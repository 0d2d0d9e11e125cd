"""Build the packages of the last commit into dist/, and their SBOMs into build/sbom/; check both.

    python .ci/release.py [TAG]

Run from the repository, with requirements/release.txt installed. With a TAG it has to be a release:
the tag and the changelog have the version, and the packages have the project's URLs.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
DIST = REPOSITORY / "dist"
SBOM = REPOSITORY / "build" / "sbom"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
URLS = {"Homepage", "Documentation", "Changelog", "Issues"}


def main(tag: str | None) -> None:
    for folder in (DIST, SBOM):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    # The time of the commit, so that the same commit makes the same bytes.
    os.environ["SOURCE_DATE_EPOCH"] = run("git", "log", "-1", "--format=%ct").decode().strip()
    wheel, sdist = build_twice()
    version = check_metadata(wheel, is_release=tag is not None)
    if tag is not None:
        check_tag(tag, version)
    for package in (wheel, sdist):
        print(f"{package.name}: reproducible, {package.stat().st_size:,} bytes")
    for path in sorted((REPOSITORY / "requirements").glob("*.txt")):
        print(write_sbom(path, version))


def build_twice() -> tuple[Path, Path]:
    """Build in two folders, with other modes and times; return the wheel and the sdist."""
    archive = run("git", "archive", "HEAD")
    with tempfile.TemporaryDirectory() as parent:
        outputs = []
        for number, mode in enumerate((0o644, 0o600)):
            source, output = Path(parent) / f"source{number}", Path(parent) / f"dist{number}"
            with tarfile.open(fileobj=io.BytesIO(archive)) as files:
                files.extractall(source, filter="data")
            for path in source.rglob("*"):
                if path.is_file():
                    path.chmod(mode)
                os.utime(path, (number * 10**9, number * 10**9))
            # Without isolation: with the pinned hatchling. The wheel is built from the sdist.
            options = ("--no-isolation", "--outdir", str(output))
            run(sys.executable, "-m", "build", *options, str(source))
            outputs.append({path.name: path.read_bytes() for path in output.iterdir()})
        assert outputs[0] == outputs[1], "the packages are not reproducible"
    for name, content in outputs[0].items():
        (DIST / name).write_bytes(content)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    return wheel, sdist


def check_metadata(wheel: Path, *, is_release: bool) -> str:
    """Check what the wheel says about itself; return its version."""
    with zipfile.ZipFile(wheel) as files:
        assert "importmonitor/py.typed" in files.namelist()
        (name,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(files.read(name).decode())
    extras = set(PROJECT["project"]["optional-dependencies"])
    assert set(metadata.get_all("Provides-Extra", [])) == extras
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == PROJECT["project"]["requires-python"]
    urls = {url.partition(",")[0] for url in metadata.get_all("Project-URL", [])}
    repository = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["custom"]["repository"]
    assert urls == (URLS if repository else set()), urls
    if not repository:
        message = "pyproject.toml does not name the published repository: there are no URLs."
        if is_release:
            sys.exit(message)
        print(message)
    return str(metadata["Version"])


def check_tag(tag: str, version: str) -> None:
    if tag != f"v{version}":
        sys.exit(f"The tag is {tag}, but the version is {version}.")
    changelog = (REPOSITORY / "CHANGELOG.md").read_text()
    if not re.search(rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        sys.exit(f"CHANGELOG.md has no dated section of {version}.")


def write_sbom(requirements: Path, version: str) -> str:
    """Write the CycloneDX SBOM of pinned requirements, which the tool validates."""
    path = SBOM / f"importmonitor-{version}-{requirements.stem}.cdx.json"
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as project:
        # The tool reads no dynamic version.
        text = (REPOSITORY / "pyproject.toml").read_text()
        project.write(re.sub(r"^dynamic = .*", f'version = "{version}"', text, flags=re.MULTILINE))
        project.flush()
        options = ("--pyproject", project.name, "--output-reproducible", "--validate")
        run(
            *(sys.executable, "-m", "cyclonedx_py", "requirements", *options),
            *("--output-file", str(path), str(requirements)),
        )
    sbom = json.loads(path.read_text())
    assert sbom["metadata"]["component"]["version"] == version
    pins = re.findall(r"^[\w.\[\]-]+==", requirements.read_text(), re.MULTILINE)
    assert len(sbom["components"]) == len(pins) > 0
    for component in sbom["components"]:
        assert component["externalReferences"][0]["hashes"], component["name"]
    return f"{path.name}: CycloneDX {sbom['specVersion']}, {len(pins)} components"


def run(*command: str) -> bytes:
    """Run a command in the repository and return its output; exit with it if it fails."""
    process = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False)
    if process.returncode != 0:
        sys.exit(f"{command} exited with {process.returncode}:\n{process.stderr.decode()}")
    return process.stdout


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
