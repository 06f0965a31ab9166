"""A user's extension that kills its crawl at a given moment of storing."""

from __future__ import annotations

KILLER = """
import os
import signal

from xhs.store.mongo.writer import Writer

put, bulk = Writer.put, Writer._bulk


def kind(write):
    fields = write.update.get("$set", {})
    if write.collection != "notes":
        return "thread" if "thread" in fields else write.collection
    if "$setOnInsert" in write.update:
        return "begin"
    return "checkpoint" if fields.get("state") in (None, "running") else "end"


class Killer:
    # Kills its own process at the n-th moment of a kind.

    def __init__(self, moment, number):
        self.moment, self.left = moment, number
        killer = self

        def counted_put(writer, write):
            name = kind(write)
            killer.reached(f"before {name}")
            future = put(writer, write)
            future.add_done_callback(lambda _: killer.reached(f"after {name}"))
            return future

        async def counted_bulk(writer, collection, batch):
            killer.reached(f"sending {collection}")
            await bulk(writer, collection, batch)
            killer.reached(f"sent {collection}")

        Writer.put, Writer._bulk = counted_put, counted_bulk

    def reached(self, moment):
        self.left -= moment == self.moment
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)

    @classmethod
    def from_crawler(cls, crawler):
        return cls(crawler.settings["KILL_AT"], crawler.settings.getint("KILL_NUMBER"))
"""
"""Code of its module. ``KILL_AT`` is the kind of moment, ``KILL_NUMBER`` its number."""
