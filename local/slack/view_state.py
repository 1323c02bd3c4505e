"""What a user has filled into a view: values in Slack's form, and the checks Slack's client makes before it sends."""

from collections.abc import Mapping
from typing import Any

from local.slack.errors import UsageError
from local.slack.values import Json, interactive_elements

_TYPED = frozenset({"plain_text_input", "email_text_input", "url_text_input", "number_input"})
_FIELD = {
    "users_select": "selected_user",
    "multi_users_select": "selected_users",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "static_select": "selected_option",
    "external_select": "selected_option",
    "radio_buttons": "selected_option",
    "overflow": "selected_option",
    "checkboxes": "selected_options",
    "multi_static_select": "selected_options",
}


def field_of(kind: str) -> str:
    """Name the field that carries an element's value in a payload."""
    return "value" if kind in _TYPED or kind == "button" else _FIELD.get(kind, "value")


def initial_state(blocks: list[Json]) -> Json:
    """Give state.values of a view nobody has touched: every element that keeps a value."""
    state: Json = {}
    for block, element in interactive_elements(blocks):
        if element["type"] in {"button", "overflow"}:
            continue
        name = field_of(element["type"])
        first = element.get(name.replace("selected_", "initial_") if name != "value" else "initial_value")
        empty: list[Json] | None = [] if name.endswith("s") else None
        entry = {"type": element["type"], name: first if first is not None else empty}
        state.setdefault(block["block_id"], {})[element["action_id"]] = entry
    return state


def entry_for(element: Json, value: Any) -> Json:
    """Turn what a test or page chose into Slack's form. Raises UsageError for an option that is not there."""
    name = field_of(element["type"])
    if name == "selected_option":
        value = None if value is None else option_of(element, value)
    elif name == "selected_options":
        value = [option_of(element, item) for item in value]
    return {"type": element["type"], name: value}


def option_of(element: Json, value: Any) -> Json:
    """Find an option by its value."""
    groups = element.get("option_groups") or [element]
    options: list[Json] = [option for group in groups for option in group.get("options", ())]
    for option in options:
        if option["value"] == value or option == value:
            return option
    offered = ", ".join(option["value"] for option in options)
    raise UsageError(f"{element['action_id']} has no option {value!r}; it offers: {offered}")


def fill(blocks: list[Json], state: Json, values: Mapping[str, Any]) -> None:
    """Write values into a view's state.

    Keys are action ids, block ids, or block ids with a mapping of action ids. Raises UsageError for an unknown key.
    """
    unknown = set(values)
    for block, element in interactive_elements(blocks):
        block_id, action_id = block["block_id"], element["action_id"]
        given = values.get(block_id, values.get(action_id))
        if isinstance(given, Mapping):
            given = given.get(action_id)
        unknown -= {block_id, action_id}
        if block_id in values or action_id in values:
            state.setdefault(block_id, {})[action_id] = entry_for(element, given)
    if unknown:
        known = sorted({element["action_id"] for _, element in interactive_elements(blocks)})
        raise UsageError(f"the view has no {', '.join(sorted(unknown))}; its elements are: {', '.join(known)}")


def complaints(blocks: list[Json], state: Json) -> dict[str, str]:
    """List what Slack's client would not send: empty required inputs and texts of the wrong length."""
    found: dict[str, str] = {}
    for block, element in interactive_elements(blocks):
        if block["type"] != "input":
            continue
        entry = state.get(block["block_id"], {}).get(element["action_id"], {})
        value = entry.get(field_of(element["type"]))
        sentence = _complaint(block, element, value)
        if sentence:
            found[block["block_id"]] = sentence
    return found


def _complaint(block: Json, element: Json, value: Any) -> str | None:
    if value in (None, "", []):
        return None if block.get("optional") else "Please complete this required field."
    if element["type"] != "plain_text_input":
        return None
    if len(value) < element.get("min_length", 0):
        return f"Please enter at least {element['min_length']} characters."
    if len(value) > element.get("max_length", 3000):
        return f"Please enter at most {element.get('max_length', 3000)} characters."
    return None
