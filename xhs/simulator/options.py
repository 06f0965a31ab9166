"""The stand-in as a program: its options, and serving until a signal."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xhs.simulator.config import HOST, Config, read_json
from xhs.simulator.fault_rules import read_rules
from xhs.simulator.schemas import OPTIONS, RULES, ScriptError, check

if TYPE_CHECKING:
    import argparse

WRONG_USAGE = 2

_NUMBERS = ("rate", "quota", "balance", "price", "spending_limit", "revoke_after", "seed")

NOTES_HELP = (
    "The ID of a note defines it. f1 and 6 hexadecimal digits: that many first-level comments"
    " (f10003e8… has 1000). f2 and 6 digits: the same without replies. f3 and 3 + 3 digits: that"
    " many comments with that many replies each. f0: does not exist. 65bf5360000000002c03f684: the"
    " documented example. Any other ID: a size derived from its hash."
    " GET /_call_log returns the log of calls, POST /_script loads a script of faults."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the stand-in; `read_options` checks their values."""
    group = parser.add_argument_group("the stand-in", NOTES_HELP)
    group.add_argument("--port", metavar="N", help=f"port of {HOST} (default: a free one)")
    group.add_argument(
        "--token",
        metavar="TOKEN",
        action="append",
        help="a token to accept, may be repeated (default: any but 'invalid')",
    )
    group.add_argument(
        "--latency", metavar="S[-S]", help="seconds that an answer takes, or a range (default: 0)"
    )
    for name in _NUMBERS:
        meaning = OPTIONS[name]["description"]
        group.add_argument(f"--{name.replace('_', '-')}", metavar="N", help=meaning)
    group.add_argument("--gzip", action="store_true", help="compress for clients that accept it")
    group.add_argument(
        "--rule",
        metavar="JSON",
        action="append",
        help="a rule, added after those of the script; may be repeated: "
        """'{"page": 2, "share": 0.1, "code": 301}'""",
    )
    group.add_argument(
        "--script",
        metavar="FILE",
        help="JSON file of rules and limits; see xhs.simulator.schemas",
    )


def read_options(options: argparse.Namespace) -> Config:
    """Return the configuration that the options define, or raise `ScriptError`."""
    document: dict[str, Any] = {}
    if options.script is not None:
        try:
            document = read_json(Path(options.script).read_bytes())
        except OSError as error:
            raise ScriptError(f"--script: {error.strerror}: {options.script}") from None
    port = 0 if options.port is None else _number("port", options.port)
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise ScriptError("--port: must be a whole number, 0 to 65535")
    if "" in (options.token or ()):
        raise ScriptError("--token: must not be empty")
    given: dict[str, Any] = {"gzip": True} if options.gzip else {}
    if options.latency is not None:
        bounds = [_number("latency", part) for part in options.latency.split("-", 1)]
        given["latency"] = bounds if len(bounds) == 2 else bounds[0]
    for name in _NUMBERS:
        value = getattr(options, name)
        if value is not None:
            given[name] = _number(name.replace("_", "-"), value)
    config = Config(port=port, tokens=frozenset(options.token or ()))
    config = config.with_script(document).with_script(given)
    if options.rule:
        rules = [_json("rule", rule) for rule in options.rule]
        check(rules, RULES, "--rule")
        config = replace(config, rules=config.rules + read_rules(rules, "--rule"))
    return config


def _number(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        raise ScriptError(f"--{name}: not a number: {value}") from None


def _json(name: str, value: str) -> Any:
    try:
        return read_json(value)
    except ScriptError as error:
        raise ScriptError(f"--{name}: {error}") from None


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status."""
    try:
        config = read_options(options)
    except ScriptError as error:
        sys.stderr.write(f"error: {error}\n")
        return WRONG_USAGE
    try:
        asyncio.run(_serve(config))
    except OSError as error:
        sys.stderr.write(f"error: cannot listen on {HOST}:{config.port}: {error.strerror}\n")
        return 1
    return 0


async def _serve(config: Config) -> None:
    # Scrapy imports all commands to run one, and importing a web server is slow.
    from xhs.simulator.server import start

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    runner, url, _service = await start(config)
    try:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await stopped.wait()
    finally:
        await runner.cleanup()
