"""Search by the beginnings of words, by one index on either database: `q=inv 42` finds "Invoice 4217".

An instance's words are those of its subject, requester and description, the first WORDS different ones; ids are matched
by their beginning as well. Parts in the middle of a word are not found.
"""

import re

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from records.columns import storable
from records.plain import Plain, Transaction
from records.sql import insert_all
from records.tables import instance_words, instances

WORDS = 32
LONGEST_WORD = 40
RARE = 1_000
HIGHEST = "\U0010ffff"


def words(*texts: str) -> tuple[str, ...]:
    """Return the different words of some texts, in lower case, cut to what the index keeps."""
    found = (word[:LONGEST_WORD] for text in texts for word in re.findall(r"\w+", storable(text).casefold()))
    return tuple(dict.fromkeys(found))[:WORDS]


@Plain
def index(transaction: Transaction, instance_id: str, texts: tuple[str, ...]) -> None:
    """Make an instance findable by its id and texts."""
    rows = [{"word": word, "instance_id": instance_id} for word in words(instance_id, *texts)]
    insert_all.on(transaction, instance_words, rows)


async def drop(connection: AsyncConnection, instance_id: str) -> None:
    """Forget an instance's words but those of its id."""
    kept = words(instance_id)
    await connection.execute(
        sa.delete(instance_words).where(instance_words.c.instance_id == instance_id, instance_words.c.word.not_in(kept))
    )


async def matching(connection: AsyncConnection, text: str) -> list[sa.ColumnElement[bool]]:
    """Return the conditions for instances that have, for each word of the text, a word that begins with it.

    A rare word is looked up first and gives a short list of ids; a frequent one is tested row by row while the page is
    read in its order, which ends soon just because it is frequent. Either way an index answers.
    """
    whole = text.strip()
    if await connection.scalar(sa.select(instances.c.instance_id).where(instances.c.instance_id == whole)) is not None:
        return [instances.c.instance_id == whole]  # a whole id means that one, and its words may all be frequent
    conditions: list[sa.ColumnElement[bool]] = []
    for word in words(text):
        few = sa.select(instance_words.c.instance_id).where(*_begins(word)).distinct().limit(RARE)
        ids = (await connection.execute(few)).scalars().all()
        if len(ids) < RARE:
            return [*conditions, instances.c.instance_id.in_(ids), *_tested(words(text), word)]
        conditions.append(_has(word))
    return conditions


def _tested(every: tuple[str, ...], but: str) -> list[sa.ColumnElement[bool]]:
    return [_has(word) for word in every if word != but]


def _begins(word: str) -> tuple[sa.ColumnElement[bool], ...]:
    return instance_words.c.word >= word, instance_words.c.word < word + HIGHEST


def _has(word: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(instance_words.c.instance_id == instances.c.instance_id, *_begins(word))
