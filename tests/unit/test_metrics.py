"""The text file for node-exporter."""

from __future__ import annotations

import asyncio
import os
import stat
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.marks import posix
from support.prometheus import Malformed, read_metrics

from xhs import metrics
from xhs.commands.crawl import Command
from xhs.metrics import (
    METRICS,
    MetricsFile,
    Samples,
    end_samples,
    metrics_text,
    read_samples,
    record_refusal,
    samples_of,
    write_metrics,
)

if TYPE_CHECKING:
    from pathlib import Path

STATS = {
    "finish_reason": "finished",
    "xhs/notes/complete": 3,
    "xhs/notes/unknown_code": 1,
    "xhs/comments/missing": 4,
    "xhs/replies/missing": 5,
    "xhs/calls/billed": 6,
    "xhs/calls/unknown": 7,
    "xhs/calls/refused/302": 8,
    "xhs/calls/refused/http_502": 9,
    "xhs/items/comment": 10,
    "xhs/rejected": 11,
    "xhs/rejected/user_id": 11,
    "xhs/spilled": 12,
    "xhs/lost": 13,
}

LABELS = st.text(max_size=20)
NUMBERS = st.integers(0, 10**9) | st.floats(0, 2e9).map(lambda number: round(number, 3))


def values(text: str, metric: str) -> dict[str, float]:
    """Return a metric's samples by the value of its label, or by "" if it has none."""
    found = {}
    for labels, number in read_metrics(text)[metric].items():
        named = dict(labels)
        assert named.pop("crawl") == "daily"
        found["".join(named.values())] = number
    return found


def test_stats_become_metrics() -> None:
    text = metrics_text("daily", samples_of(STATS, left=2))
    assert values(text, "xhs_notes_left") == {"": 2}
    ended = values(text, "xhs_notes_ended")
    assert {reason: count for reason, count in ended.items() if count} == {
        "complete": 3,
        "unknown_code": 1,
    }
    assert ended["refused"] == 0
    for metric, number in {
        "xhs_comments_missing": 4,
        "xhs_replies_missing": 5,
        "xhs_calls_billed": 6,
        "xhs_calls_unknown": 7,
        "xhs_rejected": 11,
        "xhs_spilled": 12,
        "xhs_lost": 13,
    }.items():
        assert values(text, metric) == {"": number}, metric
    assert values(text, "xhs_calls_refused") == {"302": 8, "http_502": 9}
    assert values(text, "xhs_items") == {"comment": 10, "user": 0, "note": 0}


def test_before_the_ledger_was_read_the_notes_left_are_unknown() -> None:
    text = metrics_text("daily", samples_of({}))
    assert "xhs_notes_left" not in text
    assert "xhs_calls_refused" not in text
    assert values(text, "xhs_calls_billed") == {"": 0}


@pytest.mark.parametrize(("status", "succeeded"), [(0, True), (3, False)])
def test_the_end_of_a_crawl(status: int, succeeded: bool) -> None:
    text = metrics_text("daily", end_samples(status, "finished", 1764239400.5))
    assert values(text, "xhs_running") == {"": 0}
    assert values(text, "xhs_last_exit_status") == {"": status}
    assert values(text, "xhs_last_close_reason") == {"finished": 1}
    success = "xhs_last_success_timestamp_seconds"
    assert (success in text) == succeeded
    if succeeded:
        assert values(text, success) == {"": 1764239400.5}


@st.composite
def all_samples(draw: st.DrawFn) -> Samples:
    """Draw samples of any metrics, with any values of their labels."""
    return {
        name: draw(st.dictionaries(LABELS if METRICS[name].label else st.just(""), NUMBERS))
        for name in draw(st.sets(st.sampled_from(sorted(METRICS))))
    }


@given(LABELS, all_samples())
def test_the_text_is_in_the_format_whatever_the_labels(crawl: str, samples: Samples) -> None:
    found = read_metrics(metrics_text(crawl, samples))
    assert {
        name: {dict(labels).get(METRICS[name].label, ""): number for labels, number in one.items()}
        for name, one in found.items()
    } == {name: one for name, one in samples.items() if one}
    assert {dict(labels)["crawl"] for one in found.values() for labels in one} <= {crawl}


@given(all_samples())
def test_what_was_written_is_read_again(samples: Samples) -> None:
    found = read_samples(metrics_text("daily", samples))
    plain = {
        name: {label: one for label, one in labels.items() if not set(label) & set('"\\\n')}
        for name, labels in samples.items()
    }
    for name, labels in plain.items():
        assert labels.items() <= found.get(name, {}).items()


@given(st.text())
def test_a_file_that_somebody_else_wrote_is_no_error(text: str) -> None:
    assert metrics_text("daily", read_samples(f'{text}\nxhs_other{{crawl="a"}} 1\n{text}')) == (
        metrics_text("daily", read_samples(text))
    )


@pytest.mark.parametrize(
    "text",
    [
        "xhs_running 1\n",
        "# HELP a b\n# TYPE a gauge\na 1",
        "# HELP a b\n# TYPE a gauge\n",
        "# HELP a b\n# TYPE a gauge\na 1\na 2\n",
        '# HELP a b\n# TYPE a gauge\na{b="c"d"} 1\n',
        "# TYPE a gauge\na 1\n",
        "# HELP a b\n# TYPE a gauge\na None\n",
    ],
)
def test_the_reader_of_these_tests_is_strict(text: str) -> None:
    with pytest.raises(Malformed):
        read_metrics(text)


@posix
def test_the_file_is_for_all_to_read_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "daily.prom"
    before = os.umask(0o077)
    try:
        write_metrics(path, {"xhs_running": {"": 1}})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert values(path.read_text(), "xhs_running") == {"": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "daily.prom"
    write_metrics(path, {"xhs_running": {"": 1}})
    text = path.read_text()

    def fail(self: Path, target: Path) -> None:
        raise OSError("no")

    monkeypatch.setattr(type(path), "replace", fail)
    with pytest.raises(OSError, match="no"):
        write_metrics(path, {"xhs_running": {"": 0}})
    assert (path.read_text(), list(tmp_path.iterdir())) == (text, [path])


def test_a_refusal_changes_the_status_and_the_reason_alone(tmp_path: Path) -> None:
    path = tmp_path / "daily.prom"
    before: Samples = {
        **samples_of(STATS, left=2),
        **end_samples(0, "finished", 1764239400.5),
        "xhs_running": {"": 1},
    }
    write_metrics(path, before)
    record_refusal(str(path))
    after: Samples = {
        **before,
        "xhs_last_exit_status": {"": 2},
        "xhs_last_close_reason": {"wrong_input": 1},
    }
    assert path.read_text() == metrics_text("daily", after)
    record_refusal("")
    record_refusal(str(tmp_path / "nowhere" / "daily.prom"))
    assert list(tmp_path.iterdir()) == [path]


class _Crawler:
    """The part of a crawler that the extension uses."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.stats = self
        self.spider = self
        self.checked = True

    def get_stats(self) -> dict[str, Any]:
        return self.found

    def get_value(self, stat: str) -> Any:
        return self.found.get(stat)

    def get_extension(self, cls: type) -> Any:
        return self if cls is MetricsFile else None

    def end(self, status: int) -> None:
        raise RuntimeError("a fault of the file")


def test_a_fault_at_the_end_is_not_hidden() -> None:
    command: Any = Command()
    command.crawler_process = SimpleNamespace(bootstrap_failed=False)
    with pytest.raises(RuntimeError, match="a fault of the file"):
        command._conclude(_Crawler(), SimpleNamespace(), None)


def test_it_is_written_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, crawler = tmp_path / "daily.prom", _Crawler()
    monkeypatch.setattr(MetricsFile, "interval", 0.001)
    monkeypatch.setattr(metrics, "create_looping_call", _looping_call)

    async def written(number: int) -> None:
        while values(path.read_text(), "xhs_calls_billed") != {"": number}:  # noqa: ASYNC110 (a file)
            await asyncio.sleep(0)

    async def crawl() -> None:
        extension = MetricsFile(crawler, path)  # type: ignore[arg-type]
        extension._start()
        assert values(path.read_text(), "xhs_running") == {"": 1}
        for number in (0, 1, 2):
            crawler.found["xhs/calls/billed"] = number
            await written(number)
        crawler.found |= {"finish_reason": "finished", "xhs/notes/left": 4}
        extension._stop()

    asyncio.run(asyncio.wait_for(crawl(), 60))
    text = path.read_text()
    assert values(text, "xhs_running") == {"": 0}
    assert values(text, "xhs_last_exit_status") == {"": 3}
    assert values(text, "xhs_notes_left") == {"": 4}


def _looping_call(function: Any) -> Any:
    from scrapy.utils.asyncio import AsyncioLoopingCall

    return AsyncioLoopingCall(function)


def test_a_disk_that_is_full_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metrics, "create_looping_call", lambda function: None)

    def fail(path: Path, samples: Samples) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metrics, "write_metrics", fail)
    extension = MetricsFile(_Crawler(), tmp_path / "daily.prom")  # type: ignore[arg-type]
    extension._write()
    extension._write()
    (record,) = caplog.records
    assert record.getMessage().endswith("daily.prom: No space left on device")
