"""The Dockerfile: its steps, carried out in a folder, make a Scrapyd that runs jobs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from typing import TYPE_CHECKING

import pytest
from support import scrapyd as support
from support.crawl import TOKEN
from support.dockerfile import Image, is_ignored, steps
from support.marks import linux
from support.pages import page_count
from support.scrapyd import Scrapyd
from support.simulator import PROJECT

from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from pathlib import Path

    from support.crawl import Project
    from support.simulator import Simulator

NOTE = sized_note(25)
NOTES = [sized_note(40, serial) for serial in range(20)]

_SECONDS = 60
_TICK = 0.1


def docker_missing() -> str:
    """Return why no image can be built here; "" if one can."""
    if shutil.which("docker") is None:
        return "docker is not installed: apt-get install docker.io"
    done = subprocess.run(["docker", "info"], capture_output=True, check=False)
    return "the docker daemon does not run" if done.returncode else ""


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        ".venv/bin/python",
        ".xhs/mongodb/WiredTiger",
        ".justoneapi-token",
        "token",
        "data/comments.json",
        "demo/comments.json",
        "docker/token",
        "docs/tutorial.md",
        "notes.txt",
        "tests/conftest.py",
        "xhs/__pycache__/items.cpython-311.pyc",
        "xhs/store/__pycache__/lock.cpython-311.pyc",
    ],
)
def test_nothing_private_enters_the_image(name: str) -> None:
    assert is_ignored(name)


def test_all_that_the_image_needs_enters_it() -> None:
    sources = [word for step in steps() if step.name == "COPY" for word in step.words()[:-1]]
    assert "xhs" in sources
    for source in [*sources, "xhs/store/embedded/server.py", "xhs/simulator/schemas.py"]:
        assert (PROJECT / source).exists(), source
        assert not is_ignored(source), source


@linux
@pytest.mark.skipif(
    "scrapyd" in support.MISSING, reason="needs Scrapyd: pip install -r requirements-dev.txt"
)
def test_the_steps_make_a_scrapyd_that_runs_jobs_and_stops_them(
    api: Simulator, project: Project, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    quick = f"bind_address = 127.0.0.1\nhttp_port = {port}\npoll_interval = 0.1"
    changes = {"bind_address = 0.0.0.0": quick, "127.0.0.1:6800": f"127.0.0.1:{port}"}
    image = Image(tmp_path / "image", changes)
    image.build(os.pathsep.join((sysconfig.get_path("scripts"), os.defpath)))
    assert [line.split()[0] for line in image.system_commands] == ["useradd", "chown", "pip"]
    install = image.system_commands[-1].split()
    for option, file in (("-r", "requirements.txt"), ("-c", "constraints.txt")):
        assert install[install.index(option) + 1] == file
        assert (tmp_path / "image" / "app" / file).exists()
    assert (image.user, image.volumes) == ("xhs", ["/data"])
    data = tmp_path / "image" / "data"
    assert data.stat().st_mode & 0o777 == 0o700

    secret = tmp_path / "image" / "run" / "secrets" / "justoneapi_token"
    secret.parent.mkdir(parents=True)
    secret.write_text(f"{TOKEN}\n", encoding="utf-8")
    given = ("HOME", "LANG", "JUSTONEAPI_BASE_URL", "MONGODB_URI", "MONGODB_DATABASE")
    env = {**image.environment, **{name: project.environment[name] for name in given}}
    # As in a container, where /etc/scrapyd is read. Scrapyd reads its working directory's too.
    shutil.copy(tmp_path / "image" / "etc" / "scrapyd" / "scrapyd.conf", data)
    running = Scrapyd(data, {})
    running.url = f"http://127.0.0.1:{port}/"
    with (data / "scrapyd.log").open("wb") as log:
        process = subprocess.Popen(image.command, cwd=image.folder, env=env, stdout=log, stderr=log)
    try:
        wait_for_health(image, env, process)
        job = running.schedule({"XHS_FEEDS": "jsonl"}, notes=NOTE)
        running.wait(job)
        assert project.note(NOTE)["complete"], running.log(job)
        assert list((data / "data").glob("comments-*.jsonl"))
        status = ["scrapy", "status", "--note", NOTE]
        told = subprocess.run(status, cwd=data, env=env, capture_output=True, text=True, check=True)
        assert NOTE in told.stdout

        api.reset_call_log()
        api.script({"latency": 0.4})
        job = running.schedule(notes=",".join(NOTES))
        running.wait_until(job, lambda: api.call_log()["calls"] >= 24)
        process.terminate()
        assert process.wait(_SECONDS) == -signal.SIGTERM  # Twisted ends itself with the signal
    finally:
        process.kill()
        process.wait()
    assert '"close_reason": "shutdown"' in running.log(job), running.log(job)
    api.script({})
    assert project.crawl(mode="resume", feed=False).status == 0
    assert api.call_log()["billed"] == page_count(NOTES)
    assert subprocess.run(image.health_check, env=env, capture_output=True, check=False).returncode


def wait_for_health(image: Image, env: dict[str, str], process: subprocess.Popen[bytes]) -> None:
    """Wait until the image's health check succeeds."""
    while subprocess.run(image.health_check, env=env, capture_output=True, check=False).returncode:
        assert process.poll() is None, "Scrapyd has ended"
        time.sleep(_TICK)


@pytest.mark.skipif(bool(docker_missing()), reason=docker_missing() or "docker is there")
def test_docker_builds_the_image() -> None:
    built = subprocess.run(
        ["docker", "build", "-q", str(PROJECT)], capture_output=True, text=True, check=True
    )
    image = built.stdout.strip()
    for words, printed in ((["scrapy", "list"], "comments\n"), (["id", "-un"], "xhs\n")):
        run = ["docker", "run", "--rm", image, *words]
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        assert done.stdout == printed, done
