"""Compare the pace of crawls with this project's throttle and retries, and with Scrapy's.

    python benchmarks/pace.py [SCENARIO ...]

All scenarios take about fifteen minutes. Each crawl is a process without a store against a stand-in
of the API, measured by the stand-in's call log. Seconds: first call to last answer.
"off" has no throttle. "Scrapy's" is AutoThrottle with its most favourable settings: no start delay,
a target concurrency of 16, no jitter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))

from xhs.settings import EXTENSIONS  # noqa: E402 (needs the line above)
from xhs.simulator.notes import sized_note  # noqa: E402

CallLog = dict[str, Any]
Options = dict[str, list[str]]

_OPENER = build_opener(ProxyHandler({}))
_SCRAPYS_THROTTLE = EXTENSIONS | {
    "scrapy.extensions.throttle.AutoThrottle": 0,
    "xhs.download.throttle.RefusalThrottle": None,
}

THROTTLES: Options = {
    "ours": [],
    "off": ["AUTOTHROTTLE_ENABLED=0"],
    "Scrapy's": [
        f"EXTENSIONS={json.dumps(_SCRAPYS_THROTTLE)}",
        "AUTOTHROTTLE_ENABLED=1",
        "AUTOTHROTTLE_START_DELAY=0",
        "AUTOTHROTTLE_TARGET_CONCURRENCY=16",
    ],
}
RETRIES: Options = {
    "ours": [],
    "Scrapy's": ["DOWNLOADER_MIDDLEWARES={}", "SCHEDULER=scrapy.core.scheduler.Scheduler"],
}

NOTES = [sized_note(100, serial) for serial in range(160)]
"""Ten pages each: 1,600 calls."""


def heavy_tailed() -> list[str]:
    """Return 600 notes with 1,515 pages, at most 40 each."""
    pages = [40, 38, 30, 25, 20, *[10] * 20, *[3] * 150]
    rest = 600 - len(pages)
    twos = 1515 - sum(pages) - rest
    pages += [2] * twos + [1] * (rest - twos)
    assert (len(pages), sum(pages)) == (600, 1515)
    spread = sorted(range(600), key=lambda place: place * 377 % 600)
    return [sized_note(10 * pages[place] - 5, place) for place in spread]


class StandIn:
    """Address, call log and script of the stand-in."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call_log(self) -> CallLog:
        call_log: CallLog = self._send("/_call_log", None)
        return call_log

    def script(self, script: dict[str, Any]) -> None:
        self._send("/_script", script)

    def reset(self) -> None:
        self._send("/_reset", {})

    def _send(self, path: str, document: dict[str, Any] | None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        with _OPENER.open(Request(self.url + path, body), timeout=60) as answer:  # noqa: S310 (ours)
            return json.load(answer)


@contextmanager
def stand_in() -> Iterator[StandIn]:
    with subprocess.Popen(
        [sys.executable, "-m", "xhs.simulator"], stdout=subprocess.PIPE, text=True, cwd=PROJECT
    ) as process:
        try:
            assert process.stdout is not None
            yield StandIn(process.stdout.readline().strip())
        finally:
            process.terminate()


@contextmanager
def crawl(api: StandIn, settings: Sequence[str], notes: Sequence[str]) -> Iterator[Any]:
    """Run a crawl; kill it at the end of the block if it is still running."""
    words = [word for setting in settings for word in ("-s", setting)]
    environment = {
        **os.environ,
        "JUSTONEAPI_TOKEN": "benchmark",
        "JUSTONEAPI_BASE_URL": api.url,
        "MONGODB_URI": "",
    }
    command = [sys.executable, "-m", "scrapy", "crawl", "comments", "-a", "notes_file=-"]
    with subprocess.Popen(
        [*command, "-L", "CRITICAL", *words],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=PROJECT,
        env=environment,
    ) as process:
        assert process.stdin is not None
        process.stdin.write("\n".join(notes))
        process.stdin.close()
        yield process
        process.kill()


def wait_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def first_call(api: StandIn) -> float:
    """Wait for the first call; return its time."""
    while not (log := api.call_log()["log"]):
        time.sleep(0.05)
    return float(log[0]["time"])


def complete_crawl(
    api: StandIn, script: Any, settings: Sequence[str], notes: Sequence[str]
) -> CallLog:
    """Run a crawl to its end; return the call log, its exit status and its seconds."""
    api.reset()
    api.script(script)
    with crawl(api, settings, notes) as process:
        begun = first_call(api)
        status = process.wait()
    call_log = api.call_log()
    last = call_log["log"][-1]
    return {**call_log, "status": status, "took": last["time"] + (last["seconds"] or 0) - begun}


def compare_complete(
    api: StandIn, script: Any, variants: Options, notes: Sequence[str] = NOTES, peer: str = "off"
) -> None:
    found = {
        name: complete_crawl(api, script, settings, notes) for name, settings in variants.items()
    }
    for name, call_log in found.items():
        ratio = call_log["took"] / found[peer]["took"]
        print(
            f"  {name:10}{call_log['took']:8.1f} s{ratio:8.2f} x {peer}"
            f"{call_log['billed']:8} billed{call_log['calls']:8} calls, "
            f"exit status {call_log['status']}"
        )


def limited(api: StandIn, rate: int) -> None:
    """Measure for a minute how much of a rate limit is used and how many calls are refused."""
    for name, settings in THROTTLES.items():
        api.reset()
        api.script({"rate": rate, "latency": 0.2})
        with crawl(api, settings, NOTES):
            wait_until(first_call(api) + 60)
            call_log = api.call_log()
        used = call_log["billed"] / (60 * rate)
        refused = call_log["codes"].get("302", 0) / call_log["calls"]
        print(
            f"  {name:10}{used:8.0%} of the limit used{refused:8.1%} of {call_log['calls']} refused"
        )


def temporary_limit(api: StandIn, rate: int = 5) -> None:
    """Measure how soon the pace adapts: no limit for 10 s, a limit for 30 s, no limit again."""
    notes = [sized_note(100, serial) for serial in range(600)]
    for name, settings in THROTTLES.items():
        api.reset()
        api.script({"latency": 0.2})
        with crawl(api, settings, notes):
            begun = first_call(api)
            wait_until(begun + 10)
            api.script({"latency": 0.2, "rate": rate})
            calls = calls_per_second(api, time.time(), 30)
            slowed = next((s for s, (n, no) in enumerate(calls) if no <= 0.2 * n), None)
            api.script({"latency": 0.2})
            calls = calls_per_second(api, time.time(), 30)
            full = next((s for s, (n, _) in enumerate(calls) if n >= 72), None)
        print(f"  {name:10}slowed after {slowed} s, at full pace again after {full} s")


def calls_per_second(api: StandIn, start: float, seconds: int) -> list[tuple[int, int]]:
    """Return the calls, and the refused ones, of each second from ``start``."""
    found = []
    for second in range(seconds):
        wait_until(start + second + 1.25)
        log = [
            call for call in api.call_log()["log"] if second <= call["time"] - start < second + 1
        ]
        found.append((len(log), sum(call["code"] == 302 for call in log)))
    return found


def outage(api: StandIn) -> None:
    """Count the notes that are complete although the API answers every call with 500 for 20 s."""
    for name, settings in RETRIES.items():
        api.reset()
        api.script({"latency": 0.2})
        with crawl(api, settings, NOTES) as process:
            begun = first_call(api)
            wait_until(begun + 5)
            api.script({"latency": 0.2, "rules": [{"code": 500}]})
            wait_until(begun + 25)
            api.script({"latency": 0.2})
            process.wait()
        call_log = api.call_log()
        paid = sum(note["billed"] == 10 for note in call_log["notes"].values())
        print(
            f"  {name:10}{paid} of {len(NOTES)} notes whole, {call_log['calls']} calls, "
            f"exit status {process.returncode}"
        )


MIXED = [
    {"share": share, **fault}
    for share, fault in (
        (0.12, {"code": 301}),
        (0.06, {"code": 302}),
        (0.06, {"code": 500}),
        (0.04, {"status": 502}),
        (0.04, {"html": True}),
        (0.03, {"truncate": True}),
        (0.04, {"reset": "after"}),
    )
]
"""Shares are drawn independently: together, 34 % of calls fail."""

SCENARIOS: dict[str, tuple[str, Callable[[StandIn], None]]] = {
    "steady": (
        "No limit, 200 ms a call",
        lambda api: compare_complete(api, {"latency": 0.2}, THROTTLES),
    ),
    "jitter": (
        "No limit, 0.2 to 0.5 s a call",
        lambda api: compare_complete(api, {"latency": [0.2, 0.5]}, THROTTLES),
    ),
    "chance": (
        "No limit, 200 ms a call, one call in twenty refused at random",
        lambda api: compare_complete(
            api, {"latency": 0.2, "refuse_share": {"302": 0.05}}, THROTTLES
        ),
    ),
    "limit5": ("5 calls a second, for a minute", lambda api: limited(api, 5)),
    "limit20": ("20 calls a second, for a minute", lambda api: limited(api, 20)),
    "comes": ("A limit of 5 a second that comes and goes", temporary_limit),
    "mixed": (
        "A third of all calls fail, 10 ms a call, 600 notes with 1,515 pages",
        lambda api: compare_complete(
            api, {"latency": 0.01, "rules": MIXED}, RETRIES, heavy_tailed(), peer="Scrapy's"
        ),
    ),
    "outage": ("The API fails for 20 s in mid-crawl", outage),
}


def main() -> int:
    names = sys.argv[1:] or list(SCENARIOS)
    if unknown := set(names) - set(SCENARIOS):
        print(f"error: no such scenario: {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
        return 2
    with stand_in() as api:
        for name in names:
            title, measure = SCENARIOS[name]
            print(f"{title} ({name})", flush=True)
            measure(api)
    return 0


if __name__ == "__main__":
    sys.exit(main())
