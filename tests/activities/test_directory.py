"""What is kept of Slack's answers about people: fresh, bounded, and asked again ahead of its end."""

import asyncio

import pytest

from activities.slack.directory import MOST_PROFILES, RENEWAL_S, Fresh


async def test_answers_are_kept_within_a_bound_and_the_newest_stay() -> None:
    now, asked = 0.0, []
    fresh: Fresh[int] = Fresh(lambda: now)

    async def answer(key: int) -> int:
        async def look_up() -> int:
            asked.append(key)
            return key

        return await fresh.get(key, 60.0, look_up)

    for key in range(3 * MOST_PROFILES):
        now += 0.001
        assert await answer(key) == key
        assert len(fresh._known) <= MOST_PROFILES
    await answer(3 * MOST_PROFILES - 1)
    assert len(asked) == 3 * MOST_PROFILES
    now += 61
    await answer(3 * MOST_PROFILES - 1)
    assert len(asked) == 3 * MOST_PROFILES + 1


class Lookups:
    """Counts what is asked; each answer is how many times it was asked. `down` makes it fail."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0
        self.down = False
        self.fresh: Fresh[int] = Fresh(lambda: self.now)

    async def answer(self, max_age: float = 60.0) -> int:
        return await self.fresh.get("key", max_age, self._look_up)

    async def renewed(self) -> None:
        await asyncio.sleep(2 * RENEWAL_S)

    async def _look_up(self) -> int:
        self.asked += 1
        if self.down:
            raise ConnectionError
        return self.asked


async def test_an_answer_in_use_is_asked_again_behind_the_caller_before_it_is_too_old() -> None:
    lookups = Lookups()
    assert await lookups.answer() == 1
    lookups.now = 30.0
    assert await lookups.answer() == 1
    await lookups.renewed()
    assert lookups.asked == 1  # half its age has not passed
    lookups.now = 31.0
    assert [await lookups.answer() for _ in range(3)] == [1, 1, 1]  # the old one, at once
    await lookups.renewed()
    assert lookups.asked == 2  # three callers, one lookup
    lookups.now = 90.0
    assert await lookups.answer() == 2
    await lookups.renewed()
    lookups.now = 151.0
    assert await lookups.answer() == 4  # 61 s after the third: nobody gets an answer that is too old


async def test_a_renewal_that_fails_takes_nothing_away_and_is_no_excuse_later() -> None:
    lookups = Lookups()
    assert await lookups.answer() == 1
    lookups.now, lookups.down = 31.0, True
    assert await lookups.answer() == 1
    await lookups.renewed()
    assert await lookups.answer() == 1  # still no older than asked for
    await lookups.renewed()
    lookups.now = 61.0
    with pytest.raises(ConnectionError):
        await lookups.answer()
    lookups.down = False
    assert await lookups.answer() == lookups.asked


async def test_a_renewal_never_replaces_a_newer_answer() -> None:
    lookups = Lookups()
    assert await lookups.answer() == 1
    lookups.now = 31.0
    assert await lookups.answer() == 1  # a renewal begins
    lookups.now = 32.0
    assert await lookups.answer(max_age=0.0) == 2
    await lookups.renewed()
    assert lookups.asked == 3
    assert await lookups.answer() == 2
