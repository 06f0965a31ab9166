"""Base of the writers, one a format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import BinaryIO, Self

from xhs.export.tables import Rows, Table


class Writer(ABC):
    """Writes a table to an open file, batch by batch, within a ``with`` block."""

    def __init__(self, file: BinaryIO, table: Table) -> None:
        self._file = file
        self._table = table

    @abstractmethod
    def write(self, rows: Rows) -> int:
        """Write these rows, and return how many of them the file will have."""

    def finish(self) -> None:  # noqa: B027 (most formats have nothing to add)
        """Write what is left; the file stays open."""

    def abandon(self) -> None:  # noqa: B027
        """Remove temporary files, since the export has failed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.abandon()
            return
        try:
            self.finish()
        except BaseException:
            self.abandon()
            raise
