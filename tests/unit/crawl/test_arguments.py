from datetime import UTC, datetime

import pytest

from xhs.crawl.arguments import Arguments, WrongArguments, missing_notes, parse

NOTE = "65bf5360000000002c03f684"


def errors_of(**given: str) -> list[str]:
    with pytest.raises(WrongArguments) as caught:
        parse(given)
    return caught.value.errors


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("notes", None),
        ("notes_file", None),
        ("mode", "full"),
        ("sort", "latest"),
        ("replies", "inline"),
        ("max_comments", None),
        ("since", None),
        ("dry_run", False),
    ],
)
def test_defaults(name: str, default: object) -> None:
    assert getattr(parse({}), name) == default


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("notes", NOTE),
        ("notes_file", "notes.csv"),
        ("notes_file", "-"),
        ("mode", "full"),
        ("sort", "latest"),
        ("sort", "normal"),
        ("sort", "like_count"),
        ("replies", "none"),
        ("replies", "inline"),
        ("replies", "all"),
        ("mode", "update"),
        ("mode", "resume"),
    ],
)
def test_values_are_taken(name: str, value: str) -> None:
    assert getattr(parse({name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("mode", ["full", "resume", "update"]),
        ("sort", ["latest", "normal", "like_count"]),
        ("replies", ["none", "inline", "all"]),
        ("dry_run", ["0", "1"]),
    ],
)
@pytest.mark.parametrize("value", ["", "bogus", "LATEST"])
def test_an_unknown_value_is_an_error_that_lists_the_choices(
    name: str, choices: list[str], value: str
) -> None:
    (error,) = errors_of(**{name: value})
    assert error.startswith(f"{name}='{value}' ")
    assert all(choice in error for choice in choices)


def test_1_requests_a_dry_run() -> None:
    assert parse({"dry_run": "0"}).dry_run is False
    assert parse({"dry_run": "1"}).dry_run is True


@pytest.mark.parametrize(("value", "number"), [("1", 1), ("250", 250), ("007", 7)])
def test_a_number_of_comments(value: str, number: int) -> None:
    assert parse({"max_comments": value}).max_comments == number


@pytest.mark.parametrize("value", ["0", "-1", "", "ten", "1.5", "1e3", "٣", "9" * 5000])
def test_a_wrong_number_of_comments(value: str) -> None:
    (error,) = errors_of(max_comments=value)
    assert "1 or more is needed" in error


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2024-02-29T08:30", datetime(2024, 2, 29, 8, 30, tzinfo=UTC)),
        ("2024-02-29 08:30:15Z", datetime(2024, 2, 29, 8, 30, 15, tzinfo=UTC)),
        ("2024-02-29T08:30:00+08:00", datetime(2024, 2, 29, 0, 30, tzinfo=UTC)),
    ],
)
def test_since_is_a_date_or_a_time_in_utc_if_it_has_no_zone(value: str, moment: datetime) -> None:
    assert parse({"since": value}).since == moment


@pytest.mark.parametrize(
    "value", ["", "yesterday", "29.2.2024", "2023-02-29", "0001-01-01T00+23:59"]
)
def test_a_wrong_date(value: str) -> None:
    (error,) = errors_of(since=value)
    assert "ISO 8601" in error


@pytest.mark.parametrize("sort", ["normal", "like_count"])
def test_since_needs_the_order_by_time(sort: str) -> None:
    (error,) = errors_of(since="2024-01-01", sort=sort)
    assert "since needs sort=latest" in error


def test_arguments_of_the_crawl_override_those_kept_with_a_note() -> None:
    crawl = parse({"notes": NOTE, "sort": "latest", "_job": "1"})
    assert crawl.for_note({}) is crawl
    combined = crawl.for_note({"sort": "normal", "replies": "all", "max_comments": "5"})
    assert (combined.sort, combined.replies, combined.max_comments) == ("latest", "all", 5)
    with pytest.raises(WrongArguments):
        parse({"since": "2024-01-01"}).for_note({"sort": "normal"})


def test_an_unknown_argument_is_an_error_that_lists_the_others() -> None:
    (error,) = errors_of(note=NOTE)
    assert error.startswith("note: ")
    assert "notes_file" in error


def test_there_is_no_source_yet() -> None:
    (error,) = errors_of(source="arguments")
    assert error.startswith("source: no such argument; there are notes, notes_file, mode, ")
    assert "source," not in error


SHARE = "39 冬日穿搭 - 张晓明 | 小红书 https://www.xiaohongshu.com/explore/x?xsec_token"


@pytest.mark.parametrize(
    "name", [SHARE, "https://rednote.com/explore?id", "Zhang San", "张三", "_张三", ""]
)
def test_a_text_instead_of_a_name_is_one_error_that_quotes_nothing_of_it(name: str) -> None:
    with pytest.raises(WrongArguments) as caught:
        parse({name: "AB=&x=1"})
    (error,) = caught.value.errors
    assert 'notes="' in error
    assert not any(word in error for word in ("张", "Zhang", "rednote", "穿搭", "AB="))
    assert missing_notes(caught.value.valid) is None


@pytest.mark.parametrize("name", ["mode", "sort", "replies", "max_comments", "since", "dry_run"])
def test_a_wrong_value_is_quoted_only_if_it_is_one_word(name: str) -> None:
    for value in (SHARE, "张三", "Zhang San", "x" * 31, "a,b", "a\nb", "https://a.example/b"):
        (error,) = errors_of(**{name: value})
        assert value not in error
        assert "=" not in error
        assert error.startswith(f"{name} is n")
    (error,) = errors_of(**{name: "2024-13-01T00:00:00+08:00"})
    assert error.startswith(f"{name}='2024-13-01T00:00:00+08:00' is n")


def test_the_value_of_an_unknown_argument_is_not_shown() -> None:
    (error,) = errors_of(tokn="s3cr3t")
    assert "s3cr3t" not in error


@pytest.mark.parametrize(
    "name", ["token", "TOKEN", "JUSTONEAPI_TOKEN", "justoneapi_token", "JUSTONEAPI_TOKEN_FILE"]
)
def test_a_token_is_refused_and_not_shown(name: str) -> None:
    (error,) = errors_of(**{name: "s3cr3t"})
    assert "environment" in error
    assert "s3cr3t" not in error


def test_all_errors_are_reported_at_once() -> None:
    errors = errors_of(note="x", sort="bogus", mode="bogus", notes=NOTE)
    assert [error.partition(":")[0].partition("=")[0] for error in errors] == [
        "note",
        "sort",
        "mode",
    ]


def test_valid_arguments_are_kept_beside_the_errors() -> None:
    with pytest.raises(WrongArguments) as caught:
        parse({"sort": "bogus", "notes": NOTE})
    assert caught.value.valid == Arguments(notes=NOTE)


def test_wrong_arguments_are_a_value_error() -> None:
    assert issubclass(WrongArguments, ValueError)


@pytest.mark.parametrize("value", [0, [NOTE], None])
def test_a_value_that_is_not_text_is_an_error(value: object) -> None:
    with pytest.raises(WrongArguments) as caught:
        parse({"notes": value, "dry_run": value})  # type: ignore[dict-item]
    assert [error.partition("=")[0].partition(":")[0] for error in caught.value.errors] == [
        "notes",
        "dry_run",
    ]


def test_arguments_of_scrapyd_are_ignored() -> None:
    assert parse({"_job": "1", "_version": "2", "_token": "3"}) == Arguments()


def test_an_error_does_not_show_a_long_value() -> None:
    (error,) = errors_of(sort="x\n" * 500)
    assert len(error) < 200
    assert "\n" not in error


def test_a_crawl_without_notes_is_an_error_that_says_what_to_do() -> None:
    error = missing_notes(Arguments())
    assert error is not None
    assert "notes=" in error
    assert "notes_file=" in error


@pytest.mark.parametrize("arguments", [Arguments(notes=NOTE), Arguments(notes_file="-")])
def test_a_crawl_with_notes_misses_none(arguments: Arguments) -> None:
    assert missing_notes(arguments) is None


@pytest.mark.parametrize("name", ["note", "note_id", "note_file", "NOTES"])
def test_a_misspelt_argument_for_notes_is_not_also_a_lack_of_notes(name: str) -> None:
    with pytest.raises(WrongArguments) as caught:
        parse({name: NOTE})
    assert missing_notes(caught.value.valid) is None


def test_another_wrong_argument_does_not_hide_a_lack_of_notes() -> None:
    with pytest.raises(WrongArguments) as caught:
        parse({"bogus": "1", "sort": "newest"})
    assert missing_notes(caught.value.valid)
