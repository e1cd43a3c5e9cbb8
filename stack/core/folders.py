"""The folders of a stack's state."""

from __future__ import annotations

from pathlib import Path


class Folders:
    """Where each part of the state is, below ``home``."""

    home: Path

    @property
    def lake(self) -> Path:
        """The data registry: a git and DVC repository."""
        return self.home / "lake"

    @property
    def feature_tables(self) -> Path:
        """Parquet files of the feature tables, one folder a project and view."""
        return self.home / "features"

    @property
    def quarantine(self) -> Path:
        """Refused batches and rows, one folder a batch."""
        return self.home / "quarantine"

    @property
    def data_docs(self) -> Path:
        """The static site of Great Expectations' Data Docs."""
        return self.home / "docs"

    @property
    def reports(self) -> Path:
        """Evidently's workspace."""
        return self.home / "reports"

    @property
    def pages(self) -> Path:
        """Report pages with their summaries, one folder a project; the portal serves them."""
        return self.home / "pages"

    @property
    def run(self) -> Path:
        """Sockets, pid files and generated configuration of the running stack."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        """One log file a service."""
        return self.home / "logs"
