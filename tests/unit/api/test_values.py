from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xhs.api.values import format_time, parse_boolean, parse_count, parse_time

json_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (17, 17),
        (0, 0),
        ("0", 0),
        ("17", 17),
        (" 17 ", 17),
        (17.0, 17),
        ("10+", 10),
        ("1.2万", 12_000),
        ("1.2w", 12_000),
        ("3W", 30_000),
        ("2千", 2_000),
        ("1.5k", 1_500),
        ("1K", 1_000),
        ("1.05亿", 105_000_000),
        ("10万+", 100_000),
        ("0.1万", 1_000),
        ("", None),
        ("  ", None),
        (None, None),
    ],
)
def test_counts(value: object, expected: int | None) -> None:
    number = parse_count(value)
    assert number == expected
    assert type(number) is type(expected)


@pytest.mark.parametrize(
    "value",
    [
        "many",
        "-1",
        "1,200",
        "1.5",
        "1.00001万",
        "1.2.3",
        "1万2",
        "１２",
        "²",
        "1e3",
        1.5,
        True,
        [1],
        {},
        pytest.param("9" * 5000, id="5000 digits"),
    ],
)
def test_a_count_that_is_not_understood_is_unchanged(value: object) -> None:
    assert parse_count(value) is value


@given(st.integers(min_value=0, max_value=10**18 - 1))
def test_a_count_as_text_is_parsed(number: int) -> None:
    assert parse_count(str(number)) == parse_count(number) == number


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1707447372, "2024-02-09T02:56:12Z"),
        ("1707447372", "2024-02-09T02:56:12Z"),
        (1707447372000, "2024-02-09T02:56:12Z"),
        ("1707447372000", "2024-02-09T02:56:12Z"),
        (1707447372250, "2024-02-09T02:56:12.250Z"),
        (1707447372.5, "2024-02-09T02:56:12.500Z"),
        (0, "1970-01-01T00:00:00Z"),
    ],
)
def test_times(value: object, expected: str) -> None:
    assert parse_time(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "-1",
        "１７０７４４７３７２",
        True,
        False,
        None,
        [],
        {},
        10**17,
        1e300,
        float("inf"),
        float("-inf"),
        float("nan"),
        pytest.param(10**400, id="an integer beyond any float"),
        pytest.param(-(10**400), id="one below any float"),
        pytest.param("9" * 5000, id="5000 digits"),
    ],
)
def test_a_time_that_is_not_understood_is_unchanged(value: object) -> None:
    assert parse_time(value) is value


@given(st.datetimes(min_value=datetime(1975, 1, 1), max_value=datetime(2400, 1, 1)))  # noqa: DTZ001
def test_seconds_and_milliseconds_give_the_same_time(time: datetime) -> None:
    seconds = int(time.replace(tzinfo=UTC).timestamp())
    assert parse_time(seconds) == parse_time(seconds * 1000)
    assert datetime.fromisoformat(parse_time(seconds)).timestamp() == seconds


@given(
    st.datetimes(
        min_value=datetime(1970, 1, 2),  # noqa: DTZ001
        max_value=datetime(9000, 1, 1),  # noqa: DTZ001
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))]),
    )
)
def test_iso_is_utc_to_the_millisecond(time: datetime) -> None:
    text = format_time(time)
    assert text.endswith("Z")
    back = datetime.fromisoformat(text)
    assert timedelta(0) <= time - back < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("True", True), ("FALSE", False), (True, True), (False, False)],
)
def test_booleans(value: object, expected: bool) -> None:
    assert parse_boolean(value) is expected


@pytest.mark.parametrize("value", ["", "yes", "1", 0, 1, None, []])
def test_a_boolean_that_is_not_understood_is_unchanged(value: object) -> None:
    assert parse_boolean(value) is value


@given(json_scalars)
def test_nothing_raises(value: object) -> None:
    parse_count(value)
    parse_time(value)
    parse_boolean(value)
