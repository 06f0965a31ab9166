"""Wrong input ends a crawl before its first call with status 2 and one line for each error."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from support.crawl import TOKEN

from xhs.simulator.notes import sized_note

if TYPE_CHECKING:
    from support.crawl import Outcome, Project
    from support.simulator import Simulator

NOTE = sized_note(1)
SECRET = "hunter2-of-the-database"
SHARER = "Zhang 张三"
"""Name of a person in a share text."""


def refused(api: Simulator, done: Outcome, *expected: str) -> list[str]:
    """Check that a crawl was refused with these errors, one line each, and made no call."""
    errors = done.lines("ERROR")
    assert done.status == 2, done
    assert len(errors) == len(expected), errors
    for part in expected:
        assert sum(part in error for error in errors) == 1, (part, errors)
    output = done.output + done.errors
    assert "Traceback" not in output
    assert TOKEN not in output
    assert SECRET not in output
    assert api.call_log()["calls"] == 0
    return errors


def test_no_token(api: Simulator, without_store: Project) -> None:
    done = without_store.crawl(notes=[NOTE], env={"JUSTONEAPI_TOKEN": None})
    (error,) = refused(api, done, "no token")
    assert "JUSTONEAPI_TOKEN" in error
    assert "JUSTONEAPI_TOKEN_FILE" in error


def test_a_token_file_serves_and_white_space_around_the_token_is_no_part_of_it(
    api: Simulator, without_store: Project
) -> None:
    file = without_store.folder / "token"
    file.write_text(f"\n  {TOKEN}\n")
    env = {"JUSTONEAPI_TOKEN": None, "JUSTONEAPI_TOKEN_FILE": str(file)}
    done = without_store.crawl(notes=[NOTE], env=env)
    assert done.status == 0, done
    assert api.call_log()["billed"] == 1


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_token_file_that_is_missing_or_empty(
    api: Simulator, without_store: Project, content: str | None
) -> None:
    file = without_store.folder / "token"
    if content is not None:
        file.write_text(content)
    env = {"JUSTONEAPI_TOKEN": None, "JUSTONEAPI_TOKEN_FILE": str(file)}
    (error,) = refused(api, without_store.crawl(notes=[NOTE], env=env), "JUSTONEAPI_TOKEN_FILE")
    assert str(file) in error


def test_a_token_and_a_token_file(api: Simulator, without_store: Project) -> None:
    file = without_store.folder / "token"
    file.write_text(TOKEN)
    done = without_store.crawl(notes=[NOTE], env={"JUSTONEAPI_TOKEN_FILE": str(file)})
    refused(api, done, "both set")


def test_a_token_on_the_command_line(api: Simulator, without_store: Project) -> None:
    names = ("JUSTONEAPI_TOKEN", "JUSTONEAPI_TOKEN_FILE")
    words = [word for name in names for way in "sa" for word in (f"-{way}", f"{name}={SECRET}")]
    errors = refused(
        api,
        without_store.crawl(*words, notes=[NOTE]),
        *(f"{name} is not a setting" for name in names),
        *(f"{name}: a token given as an argument" for name in names),
    )
    assert all("environment" in error for error in errors)


def test_everything_wrong_is_said_at_once(api: Simulator, without_store: Project) -> None:
    done = without_store.crawl(
        *("-s", "JUSTONEAPI_COMMENTS_VERSION=v9"),
        *("-s", "JUSTONEAPI_BASE_URL=ftp://api.example.com"),
        env={"JUSTONEAPI_TOKEN": None},
        notes=[NOTE[:-1], NOTE],
        bogus="1",
        token=SECRET,
        sort="newest",
        replies="some",
        mode="fast",
        source="redis",
        dry_run="maybe",
    )
    errors = refused(
        api,
        done,
        "JUSTONEAPI_COMMENTS_VERSION=v9 is none of v4, v3, v2",
        "JUSTONEAPI_BASE_URL: ",
        "no token",
        f"notes: '{NOTE[:-1]}' is not a note ID",
        "bogus: no such argument",
        "token: a token given",
        "sort='newest' is none of latest, normal, like_count",
        "replies='some' is none of none, inline, all",
        "mode='fast' is none of full, resume, update",
        "source: no such argument",
        "dry_run='maybe'",
    )
    unknown = next(error for error in errors if "bogus" in error)
    assert "max_comments" in unknown


def test_combinations_that_cannot_work_are_refused(api: Simulator, without_store: Project) -> None:
    done = without_store.crawl(notes=[NOTE], mode="update", since="2024-01-01", sort="normal")
    refused(api, done, "since needs sort=latest", "mode=update needs a store")


def test_arguments_of_scrapyd_are_ignored(api: Simulator, without_store: Project) -> None:
    done = without_store.crawl(notes=[NOTE], _job="6487ec79947edab326d6db28a2d86511", _version="r1")
    assert done.status == 0, done
    assert api.call_log()["calls"] == 1


def test_no_notes(api: Simulator, without_store: Project) -> None:
    (error,) = refused(api, without_store.crawl(), "no notes")
    assert "notes_file" in error


def test_notes_that_name_none(api: Simulator, without_store: Project) -> None:
    refused(api, without_store.crawl("-a", "notes= , "), "there is no note in it")


def test_malformed_notes_among_good_ones_are_named_with_their_line(
    api: Simulator, without_store: Project
) -> None:
    file = without_store.folder / "notes.txt"
    file.write_text(f"# notes\n{NOTE}\nnonsense\n\n{NOTE[:-1]}\n{sized_note(2)}, xyz\n")
    done = without_store.crawl(notes_file=str(file))
    errors = refused(api, done, "line 3: ", f"line 5: '{NOTE[:-1]}'", "line 6: piece 2 of 2")
    assert not any(word in error for word in ("nonsense", "xyz") for error in errors)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("notes.csv", f"note_id\n{NOTE}\nbad\n", "line 3: neither a note ID"),
        ("notes.json", json.dumps([NOTE, {"note_id": NOTE}, "bad"]), "entry 3: neither a note ID"),
        ("notes.jsonl", f'"{NOTE}"\n{{"url": "bad"}}\n', "line 2: neither a note ID"),
        ("notes.csv", f"标题,笔记ID\n一,{NOTE}\n二,6.63308E+23\n", "line 3: '6.63308E+23'"),
        ("notes.xlsx", "", ".txt, .csv, .json, .jsonl"),
        ("notes.txt", "", "there is no note in it"),
        ("notes.txt", None, "cannot be read"),
    ],
)
def test_files_of_each_kind(
    api: Simulator, without_store: Project, name: str, content: str | None, expected: str
) -> None:
    file = without_store.folder / name
    if content is not None:
        file.write_text(content)
    (error,) = refused(api, without_store.crawl(notes_file=str(file)), expected)
    assert str(file) in error


def test_a_file_that_is_not_utf_8(api: Simulator, without_store: Project) -> None:
    file = without_store.folder / "notes.txt"
    file.write_bytes(f"{NOTE}\n# 笔记\n".encode("gb18030"))
    (error,) = refused(api, without_store.crawl(notes_file=str(file)), "UTF-8")
    assert str(file) in error
    assert "iconv -f GB18030" in error


def test_100_errors_are_shown_and_the_total(api: Simulator, without_store: Project) -> None:
    file = without_store.folder / "notes.txt"
    file.write_text("".join(f"bad-{number}\n" for number in range(250)))
    done = without_store.crawl(notes_file=str(file))
    errors = done.lines("ERROR")
    assert done.status == 2
    assert len(errors) == 101
    assert "line 100: " in errors[99]
    assert "250" in errors[100]
    assert api.call_log()["calls"] == 0


def test_standard_input(api: Simulator, without_store: Project) -> None:
    done = without_store.crawl(notes_file="-", stdin=f"{NOTE}\nbad\n")
    refused(api, done, "standard input, line 2: neither")
    refused(api, without_store.crawl(notes_file="-", stdin=b"\xb1\xca\n"), "UTF-8")
    refused(api, without_store.crawl(notes_file="-"), "there is no note in it")
    link = f"https://www.xiaohongshu.com/discovery/item/{sized_note(2)}?source=webshare"
    share = f"{SHARER} 发布了一篇小红书笔记\n{link}\n复制后打开【小红书】查看笔记！\n"
    done = without_store.crawl(notes_file="-", stdin=f"{NOTE}\n# 注释\n{share}")
    assert done.status == 0, done
    assert api.call_log()["notes"].keys() == {NOTE, sized_note(2)}


PROFILE = "https://www.xiaohongshu.com/user/profile/5b0e1a2c4eacab3f1d2e3f40"
WRONG_SHARES = {
    f"34 【水果店，开业 - {SHARER} | 小红书】 😆 xK2 复制，打开【小红书】App": "link to a note",
    f"81 {SHARER} 发布了一篇小红书笔记，快来看吧！ {PROFILE}?xsec_token={SECRET} 复制": PROFILE,
    f"81 {SHARER} http://xhslink.com/a/AbC?{SECRET} https://rednote.com/explore/{NOTE}": "short",
    f"{SHARER} {NOTE[:-1]}": NOTE[:-1],
    SHARER: "link to a note",
}


def assert_unquoted(done: Outcome) -> None:
    """Check that a command was refused and its output quotes no word of a share text."""
    assert done.status == 2, done
    output = done.output + done.errors
    for word in (*SHARER.split(), SECRET, "水果店", "发布"):
        assert word not in output, done
    assert "Traceback" not in output


@pytest.mark.parametrize("share", WRONG_SHARES)
def test_of_a_share_text_no_more_is_quoted_than_its_link(
    api: Simulator, without_store: Project, share: str
) -> None:
    done = without_store.crawl(notes=[share])
    (error,) = refused(api, done, WRONG_SHARES[share])
    assert done.run["errors"] == [error]
    assert_unquoted(done)


def test_wherever_a_share_text_is_given_it_is_not_quoted(
    api: Simulator, without_store: Project
) -> None:
    share = list(WRONG_SHARES)[1]
    file = without_store.folder / "notes.jsonl"
    file.write_text(f"{json.dumps({'title': share, 'id': NOTE})}\n{json.dumps(share)}\n")
    assert_unquoted(without_store.crawl(notes=[share], env={"XHS_LOG_FORMAT": "json"}, feed=False))
    assert_unquoted(done := without_store.crawl(notes_file=str(file)))
    refused(api, done, "line 1: neither a text nor", f"line 2: '{PROFILE}' ")
    assert_unquoted(done := without_store.crawl(notes_file=share))
    refused(api, done, "notes_file: the name must end in")
    assert_unquoted(
        done := without_store.crawl(*share.split(), notes=[NOTE])
    )  # without quotation marks
    refused(api, done, "too many arguments")
    for words in (["ZhangSan", "posted"], ["notes", NOTE]):
        done = without_store.crawl(*words, notes=[NOTE])
        (error,) = refused(api, done, "without spaces around =")
        assert not set(words) & set(error.replace("(", " ").split())
    unreachable = {"MONGODB_URI": "mongodb://127.0.0.1:1"}  # refused before any database is queried
    for words in (["status", "--note", share], ["enqueue", share], ["enqueue", *share.split()]):
        done = without_store.command(*words, env=unreachable)
        assert_unquoted(done)
        assert len(done.errors.splitlines()) == 1, done
    assert_unquoted(done := without_store.command("enqueue", str(file), env=unreachable))
    assert len(done.errors.splitlines()) == 2, done


SHARE = (
    f"39 冬日穿搭 - {SHARER} | 小红书 https://www.xiaohongshu.com/explore/{NOTE}"
    f"?xsec_token={SECRET}=&x=1"
)


def test_a_share_text_in_the_place_of_an_argument_is_one_error(
    api: Simulator, without_store: Project
) -> None:
    link = SHARE.rpartition(" ")[2]
    for words in ([SHARE], [link], [SHARE.partition("?")[0]], [SHARE, "sort=latest"]):
        done = without_store.crawl(*(part for word in words for part in ("-a", word)))
        (error,) = refused(api, done, '-a notes="')
        assert done.run["errors"] == [error]
        assert_unquoted(done)
        assert NOTE not in done.output + done.errors


def test_a_share_text_as_spider_option_or_value_is_not_quoted(
    api: Simulator, without_store: Project
) -> None:
    for words in (["crawl", SHARE], ["crawl", f"{SHARE} 复制", "-a", f"notes={NOTE}"]):
        assert_unquoted(done := without_store.command(*words))
        refused(api, done, "no spider is named; write scrapy crawl comments")
    assert_unquoted(done := without_store.crawl(f"-{SHARE}", notes=[NOTE]))
    refused(api, done, "no such option; ")
    names = ("mode", "sort", "replies", "max_comments", "since", "dry_run")
    words = [word for name in names for word in ("-a", f"{name}={SHARE}")]
    done = without_store.crawl(*words, notes=[NOTE])
    assert_unquoted(done)
    refused(api, done, *(f"{name} is n" for name in names))


def test_enqueue_quotes_no_share_text_either(api: Simulator, without_store: Project) -> None:
    file = without_store.folder / "notes.txt"
    file.write_text(NOTE)
    unreachable = {"MONGODB_URI": "mongodb://127.0.0.1:1"}
    for given in (SHARE, SHARE.partition("?")[0], f"mode={SHARE}"):
        done = without_store.command("enqueue", "-a", given, str(file), env=unreachable)
        assert_unquoted(done)
        assert len(done.errors.splitlines()) == 1, done


def test_an_argument_that_is_given_twice_is_refused(api: Simulator, without_store: Project) -> None:
    notes = [word for size in (1, 2) for word in ("-a", f"notes={sized_note(size)}")]
    (error,) = refused(api, without_store.crawl(*notes), "notes is given 2 times")
    assert "commas" in error
    done = without_store.crawl("-a", "sort=normal", "-a", "sort=latest", notes=[NOTE])
    refused(api, done, "sort is given 2 times")
    unreachable = {"MONGODB_URI": "mongodb://127.0.0.1:1"}
    done = without_store.command("status", "--note", NOTE, "--note", sized_note(2), env=unreachable)
    assert (done.status, len(done.errors.splitlines())) == (2, 1), done
    file = without_store.folder / "notes.txt"
    file.write_text(NOTE)
    words = ("enqueue", "-a", "sort=normal", "-a", "sort=latest", str(file))
    done = without_store.command(*words, env=unreachable)
    assert (done.status, len(done.errors.splitlines())) == (2, 1), done
    assert "sort is given 2 times" in done.errors


def test_links_of_every_kind_are_one_note(api: Simulator, without_store: Project) -> None:
    link = f"https://www.xiaohongshu.com/explore/{NOTE}"
    coded = quote(f"{link}?xsec_token={SECRET}", safe="")
    links = [
        f"{link}?xsec_token={SECRET}",
        f"https://www.xiaohongshu.com/login?redirectPath={coded}",
        f"https://oia.xiaohongshu.com/oia?deeplink=xhsdiscover%3A%2F%2Fitem%2F{NOTE}",
        f"https://www.xiaohongshu.com/404?source=%2F404%3FredirectPath%3D{quote(coded, safe='')}",
        NOTE.upper(),
    ]
    done = without_store.crawl("-a", "notes=" + "，".join(links))
    assert done.status == 0, done
    assert SECRET not in done.output + done.errors
    assert api.call_log()["notes"].keys() == {NOTE}


def test_a_short_link_needs_the_network(api: Simulator, without_store: Project) -> None:
    (error,) = refused(api, without_store.crawl(notes=["https://xhslink.com/a/AbC"]), "xhslink.com")
    assert "browser" in error


def test_plain_http_to_a_public_address(api: Simulator, without_store: Project) -> None:
    url = "http://198.51.100.1:30015/"
    done = without_store.crawl(notes=[NOTE], env={"JUSTONEAPI_BASE_URL": url})
    (error,) = refused(api, done, "JUSTONEAPI_BASE_URL")
    assert "JUSTONEAPI_ALLOW_HTTP" in error


def test_a_password_of_the_database_on_the_command_line(
    api: Simulator, without_store: Project
) -> None:
    uri = f"mongodb://me:{SECRET}@127.0.0.1:1/?serverSelectionTimeoutMS=100"
    refused(api, without_store.crawl("-s", f"MONGODB_URI={uri}", notes=[NOTE]), "MONGODB_URI")


def test_misspelt_options_words_and_spiders(api: Simulator, without_store: Project) -> None:
    refused(api, without_store.crawl("--bogus", notes=[NOTE]), "--bogus")
    refused(api, without_store.crawl("more", notes=[NOTE]), "more")
    refused(api, without_store.command("crawl", "coments", "-a", f"notes={NOTE}"), "coments")
    refused(api, without_store.command("crawl"), "spider")


def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def test_a_database_that_cannot_be_reached(api: Simulator, project: Project) -> None:
    where = f"127.0.0.1:{closed_port()}"
    uri = f"mongodb://me:{SECRET}@{where}/?serverSelectionTimeoutMS=100"
    done = project.crawl(notes=[NOTE], env={"MONGODB_URI": uri})
    assert done.status == 1, done
    errors = [line for line in done.lines("ERROR") if "MongoDB" in line or where in line]
    assert len(errors) == 1, done
    assert where in errors[0]
    output = done.output + done.errors
    assert SECRET not in output
    assert TOKEN not in output
    assert "Traceback" not in output
    assert api.call_log()["calls"] == 0


def test_a_connection_string_that_is_none(api: Simulator, project: Project) -> None:
    done = project.crawl(notes=[NOTE], env={"MONGODB_URI": f"mongo://me:{SECRET}@host"})
    assert done.status in (1, 2), done
    assert "MONGODB_URI" in " ".join(done.lines("ERROR"))
    output = done.output + done.errors
    assert SECRET not in output
    assert "Traceback" not in output
    assert api.call_log()["calls"] == 0


def test_an_embedded_folder_that_is_a_file(api: Simulator, project: Project) -> None:
    file = project.folder / "file"
    file.touch()
    done = project.crawl(notes=[NOTE], env={"MONGODB_URI": f"embedded:{file}"})
    assert done.status == 1, done
    assert str(file) in " ".join(done.lines("ERROR"))
    assert "Traceback" not in done.errors
    assert api.call_log()["calls"] == 0


def test_an_answer_that_is_no_envelope(api: Simulator, without_store: Project) -> None:
    good = sized_note(2)
    bodies = ["[]", '"text"', '{"data": {}}', '{"code": null}', "", "\x00"]
    notes = [sized_note(1, serial) for serial in range(len(bodies))]
    api.script(
        {"rules": [{"note": note, "body": body} for note, body in zip(notes, bodies, strict=True)]}
    )
    done = without_store.crawl("-s", "RETRY_TIMES=1", notes=[*notes, good])
    assert done.status == 3, done
    assert "Traceback" not in done.errors
    ends = {item["note_id"]: item["stop_reason"] for item in done.items("note")}
    assert ends == dict.fromkeys(notes, "retries_exhausted") | {good: "complete"}
    assert api.call_log()["calls"] == 2 * len(bodies) + 1


def test_the_servers_name_may_be_in_any_case(api: Simulator, without_store: Project) -> None:
    port = api.url.rpartition(":")[2]
    base = {"JUSTONEAPI_BASE_URL": f"http://LocalHost:{port}"}
    done = without_store.crawl(notes=[sized_note(5)], env=base)
    assert done.status == 0, done
    assert api.call_log()["billed"] == 1
