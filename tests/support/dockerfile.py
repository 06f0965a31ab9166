"""The steps of the Dockerfile, carried out in a folder instead of an image."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from support.simulator import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHIMS = ("pip", "useradd", "chown")
"""Commands that change the system: each only writes down its arguments."""
_ABSOLUTE = re.compile(r"(?<![\w/.:-])/(?:app|data|etc|run)\b")


class Step(NamedTuple):
    """An instruction of a Dockerfile and its arguments."""

    name: str
    text: str

    def words(self) -> list[str]:
        """Return the arguments, from a list in JSON or as a shell splits them."""
        if self.text.startswith("["):
            words: list[str] = json.loads(self.text)
            return words
        return shlex.split(self.text)


def steps() -> list[Step]:
    """Return the steps of the Dockerfile."""
    text = (PROJECT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [Step(*line.split(maxsplit=1)) for line in lines]


def is_ignored(name: str) -> bool:
    """True if `.dockerignore` keeps a file of the project out of an image.

    The last pattern that the file or one of its folders matches decides.
    """
    text = (PROJECT / ".dockerignore").read_text(encoding="utf-8")
    parts = name.split("/")
    names = ["/".join(parts[:number]) for number in range(1, len(parts) + 1)]
    found = False
    for pattern in text.splitlines():
        plain = pattern.removeprefix("!")
        if pattern and not pattern.startswith("#") and any(_matches(each, plain) for each in names):
            found = not pattern.startswith("!")
    return found


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return any(fnmatch.fnmatch(part, pattern[3:]) for part in name.split("/"))
    return name.count("/") == pattern.count("/") and fnmatch.fnmatch(name, pattern)


class Image:
    """What the steps make, below ``root`` instead of ``/``.

    Packages are not installed: those of the tests are used. ``changes``: other texts that the files
    and commands get in place of theirs.
    """

    def __init__(self, root: Path, changes: Mapping[str, str]) -> None:
        self.root = root
        self.environment: dict[str, str] = {}
        self.folder = root
        self.user = ""
        self.command: list[str] = []
        self.health_check: list[str] = []
        self.volumes: list[str] = []
        self._changes = changes
        self._shims = root / "shims"
        self._journal = root / "shims.log"

    def build(self, path: str) -> None:
        """Carry out every step. ``path``: where the commands are searched for."""
        self._shims.mkdir(parents=True)
        for name in _SHIMS:
            shim = self._shims / name
            shim.write_text(f'#!/bin/sh\necho "{name} $*" >> {self._journal}\n', encoding="utf-8")
            shim.chmod(0o755)
        self.environment["PATH"] = f"{self._shims}:{path}"
        for step in steps():
            getattr(self, f"_{step.name.lower()}")(step)

    @property
    def system_commands(self) -> list[str]:
        """The commands that would have changed the system, in order."""
        return self._journal.read_text(encoding="utf-8").splitlines()

    def at(self, text: str) -> str:
        """Return a text in which absolute paths are below the root, with the changes."""
        text = _ABSOLUTE.sub(lambda match: f"{self.root}{match[0]}", text)
        for old, new in self._changes.items():
            text = text.replace(old, new)
        return text

    def _from(self, step: Step) -> None:
        assert re.fullmatch(r"python:3\.\d+-slim", step.text), step

    def _env(self, step: Step) -> None:
        for pair in step.words():
            name, _, value = pair.partition("=")
            self.environment[name] = self.at(value)

    def _run(self, step: Step) -> None:
        command = ["/bin/sh", "-euc", self.at(step.text)]
        subprocess.run(command, cwd=self.folder, env=self.environment, check=True)

    def _workdir(self, step: Step) -> None:
        self.folder = Path(self.at(step.text))
        self.folder.mkdir(parents=True, exist_ok=True)

    def _copy(self, step: Step) -> None:
        *sources, target = step.words()
        for source in sources:
            path = PROJECT / source
            paths = path.rglob("*") if path.is_dir() else [path]
            names = [each.relative_to(PROJECT).as_posix() for each in paths if each.is_file()]
            files = [name for name in names if not is_ignored(name)]
            assert files, f"{source} is ignored"
            for name in files:
                self._copy_file(name, source, self.at(target))

    def _copy_file(self, name: str, source: str, target: str) -> None:
        to = self.folder / target
        if name != source:
            to /= name.removeprefix(f"{source}/")
        elif target.endswith("/"):
            to /= Path(source).name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, to)
        if to.suffix == ".conf":
            to.write_text(self.at(to.read_text(encoding="utf-8")), encoding="utf-8")

    def _user(self, step: Step) -> None:
        self.user = step.text

    def _volume(self, step: Step) -> None:
        self.volumes += step.words()

    def _expose(self, step: Step) -> None:
        assert step.text == "6800"

    def _healthcheck(self, step: Step) -> None:
        _, _, words = step.text.partition(" CMD ")
        self.health_check = [self.at(word) for word in Step("CMD", words).words()]

    def _cmd(self, step: Step) -> None:
        self.command = [self.at(word) for word in step.words()]
