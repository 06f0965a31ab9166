"""``scrapy recover``: store the writes of spill files, and retry rejected objects."""

from __future__ import annotations

import argparse
from pathlib import Path

from xhs.checks import check_spill
from xhs.command import StoreCommand
from xhs.recovery import Retried, retry_rejected
from xhs.store.mongo.client import Store
from xhs.store.spill.restore import Restored


class Command(StoreCommand):
    """Stores what it can, and prints what stays and why."""

    def short_desc(self) -> str:
        """Return the command's summary."""
        return "Store what waits in spill files, and try rejected objects again"

    def execute(self, args: list[str], opts: argparse.Namespace) -> None:
        """Recover, and print what was stored and what stays."""
        if (store := self.store()) is None:
            return
        folder = self.settings["XHS_SPILL_DIR"]
        if problem := check_spill(folder):
            self.fail(problem)
            return
        self.run_on(store, self._recover(store, Path(folder)))

    async def _recover(self, store: Store, folder: Path) -> None:
        async with store:
            with self.progress("Storing writes from spill files") as advance:
                restored = await store.restore(folder, advance)
            self._print_restored(restored)
            with self.progress("Retrying rejected objects") as advance:
                retried = await retry_rejected(store, advance)
            self._print_retried(retried)

    def _print_restored(self, restored: Restored) -> None:
        self.print(f"{restored.stored} writes stored from spill files")
        for sentence in restored.left:
            self.print(f"  stays: {sentence}")
        for sentence in restored.set_aside:
            self.print(f"  set aside, and not tried again: {sentence}")

    def _print_retried(self, retried: Retried) -> None:
        stored = sum(retried.stored.values())
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(retried.stored.items()))
        self.print(f"{stored} rejected objects stored" + (f": {kinds}" if kinds else ""))
        for (kind, reason), count in sorted(retried.left.items()):
            self.print(f"  stays: {count} {kind}: {reason}")
