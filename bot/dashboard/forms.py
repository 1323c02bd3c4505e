"""The fields of a form as a browser sends them. Pure; the session checks the CSRF token."""


def typed(value: object) -> str:
    """Return a field's text: a browser counts a new line as one character and sends it as two."""
    return str(value).replace("\r\n", "\n").strip()
