"""What is kept of Slack's answers about people: no older than asked for, and never without bound."""

from activities.directory import MOST, Fresh


async def test_answers_are_kept_within_a_bound_and_the_newest_stay() -> None:
    now, asked = 0.0, []
    fresh: Fresh[int] = Fresh(lambda: now)

    async def answer(key: int) -> int:
        async def look_up() -> int:
            asked.append(key)
            return key

        return await fresh.get(key, 60.0, look_up)

    for key in range(3 * MOST):
        now += 0.001
        assert await answer(key) == key
        assert len(fresh._known) <= MOST
    await answer(3 * MOST - 1)
    assert len(asked) == 3 * MOST
    now += 61
    await answer(3 * MOST - 1)
    assert len(asked) == 3 * MOST + 1
