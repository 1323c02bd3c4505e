"""What a browser sends of a form's fields. Pure; whether the form may be believed is the door's to say."""


def typed(value: object) -> str:
    """Return what was typed into a field: a browser counts a new line as one character and sends it as two."""
    return str(value).replace("\r\n", "\n").strip()
