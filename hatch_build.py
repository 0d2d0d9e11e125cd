"""Adds the project's URLs to the package's metadata, from the one address in pyproject.toml."""

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Hook(MetadataHookInterface):  # type: ignore[misc] # hatchling is installed where packages are built, not where mypy runs
    def update(self, metadata: dict[str, Any]) -> None:
        repository = self.config["repository"].rstrip("/")
        if repository:
            metadata["urls"] = {
                "Homepage": repository,
                "Documentation": f"{repository}#readme",
                "Changelog": f"{repository}/blob/main/CHANGELOG.md",
                "Issues": f"{repository}/issues",
            }
