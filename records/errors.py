"""The errors of a database, with messages for people. Never a URL's password, never a statement's values."""


class RecordsError(Exception):
    """Something about the database that a person has to know. The message is for operators.

    `public` is the message for people: it does not say where the database is.
    """

    def __init__(self, sentence: str, public: str = "") -> None:
        super().__init__(sentence)
        self.public = public or sentence


def public_message(error: Exception) -> str:
    """Return an error's public message."""
    return error.public if isinstance(error, RecordsError) else str(error)


class DatabaseUnavailableError(RecordsError):
    """The database can't be used now (locked, full, gone). Nothing was written; trying again is right."""


class LeaseLostError(DatabaseUnavailableError):
    """Another process leads this job by now: what this one was about to write is not written, and is not missing."""


class DatabaseUnusableError(RecordsError):
    """The database is corrupt, foreign or of a newer program. Trying again does not help; nothing was changed."""


class BadCursorError(RecordsError):
    """A page's cursor is not one that this program gave out for this sort order."""


class UnreadableRowError(RecordsError):
    """The row that was asked for cannot be read. Other rows can."""
