"""What stands behind `/approval terminate` and `/approval purge`: read, or refused with what is missing."""

from datetime import timedelta

import pytest

from bot.slack.bulk_words import UnreadableWordsError, parse


@pytest.mark.parametrize(
    "words", ["--older-than", "--older-than=", "--older-than ''", "--older-than --completed", "\N{EM DASH}older-than"]
)
def test_an_age_that_is_missing_is_said_to_be_missing(words: str) -> None:
    with pytest.raises(UnreadableWordsError, match=r"Behind --older-than a time is missing: .* 2h or 30d\.$"):
        parse("purge", words)


def test_an_age_that_is_none_is_quoted() -> None:
    with pytest.raises(UnreadableWordsError, match="“yesterday” is no time"):
        parse("purge", "--older-than yesterday")


@pytest.mark.parametrize("age", ["--older-than 30d", "--older-than=30d", "\N{EM DASH}older-than='30 days'"])
def test_what_stands_behind_the_options_is_the_reason(age: str) -> None:
    read = parse("purge", f"{age} --completed they are done")
    assert read.selection.older_than == timedelta(days=30)
    assert read.reason == "they are done"
