"""The figures and field names of Block Kit, as tables. Source: Slack's Block Kit reference. No checking here."""

from typing import Final

COMMON_BLOCK: Final = frozenset({"type", "block_id"})
BLOCK_FIELDS: Final[dict[str, frozenset[str]]] = {
    "section": frozenset({"text", "fields", "accessory", "expand"}),
    "divider": frozenset(),
    "header": frozenset({"text", "level"}),
    "context": frozenset({"elements"}),
    "actions": frozenset({"elements"}),
    "image": frozenset({"image_url", "alt_text", "title", "slack_file"}),
    "input": frozenset({"label", "element", "dispatch_action", "hint", "optional"}),
    "rich_text": frozenset({"elements"}),
    "markdown": frozenset({"text"}),
    "video": frozenset(
        {
            "alt_text", "author_name", "description", "provider_icon_url", "provider_name", "title", "title_url",
            "thumbnail_url", "video_url",
        }
    ),
    "file": frozenset({"external_id", "source"}),
    "table": frozenset({"rows", "column_settings"}),
}  # fmt: skip
VIEW_BLOCKS: Final = frozenset(
    {"section", "divider", "header", "context", "actions", "image", "input", "rich_text", "video"}
)
MESSAGE_BLOCKS: Final = frozenset(BLOCK_FIELDS)

_CHOICE: Final = frozenset({"placeholder", "confirm", "focus_on_load"})
_OPTIONS: Final = frozenset({"options", "option_groups"})
_INPUT: Final = frozenset({"placeholder", "initial_value", "focus_on_load", "dispatch_action_config"})
_LENGTH: Final = frozenset({"min_length", "max_length"})
_MANY: Final = frozenset({"max_selected_items"})
ELEMENT_FIELDS: Final[dict[str, frozenset[str]]] = {
    "button": frozenset({"text", "url", "value", "style", "confirm", "accessibility_label"}),
    "static_select": _CHOICE | _OPTIONS | {"initial_option"},
    "multi_static_select": _CHOICE | _OPTIONS | _MANY | {"initial_options"},
    "external_select": _CHOICE | {"initial_option", "min_query_length"},
    "users_select": _CHOICE | {"initial_user"},
    "multi_users_select": _CHOICE | _MANY | {"initial_users"},
    "conversations_select": _CHOICE
    | {"initial_conversation", "default_to_current_conversation", "response_url_enabled", "filter"},
    "channels_select": _CHOICE | {"initial_channel", "response_url_enabled"},
    "datepicker": _CHOICE | {"initial_date"},
    "timepicker": _CHOICE | {"initial_time", "timezone"},
    "datetimepicker": frozenset({"initial_date_time", "confirm", "focus_on_load"}),
    "overflow": frozenset({"options", "confirm"}),
    "checkboxes": frozenset({"options", "initial_options", "confirm", "focus_on_load"}),
    "radio_buttons": frozenset({"options", "initial_option", "confirm", "focus_on_load"}),
    "plain_text_input": _INPUT | _LENGTH | {"multiline"},
    "email_text_input": _INPUT,
    "url_text_input": _INPUT,
    "number_input": _INPUT | {"is_decimal_allowed", "min_value", "max_value"},
    "image": frozenset({"image_url", "alt_text", "slack_file"}),
}
ACTIONS_ELEMENTS: Final = frozenset(
    {
        "button", "static_select", "multi_static_select", "external_select", "users_select", "multi_users_select",
        "conversations_select", "channels_select", "datepicker", "timepicker", "datetimepicker", "overflow",
        "checkboxes", "radio_buttons",
    }
)  # fmt: skip
INPUT_ELEMENTS: Final = (ACTIONS_ELEMENTS - {"button", "overflow"}) | {
    "plain_text_input",
    "email_text_input",
    "url_text_input",
    "number_input",
}
ACCESSORIES: Final = ACTIONS_ELEMENTS | {"image"}

BLOCKS_PER_MESSAGE: Final = 50
BLOCKS_PER_VIEW: Final = 100
BLOCK_ID: Final = 255
ACTION_ID: Final = 255
SECTION_TEXT: Final = 3000
SECTION_FIELDS: Final = 10
FIELD_TEXT: Final = 2000
HEADER_TEXT: Final = 150
CONTEXT_ELEMENTS: Final = 10
ACTIONS_PER_BLOCK: Final = 25
BUTTON_TEXT: Final = 75
BUTTON_VALUE: Final = 2000
BUTTON_URL: Final = 3000
ACCESSIBILITY_LABEL: Final = 75
CONFIRM_TITLE: Final = 100
CONFIRM_TEXT: Final = 300
CONFIRM_BUTTON: Final = 30
OPTION_TEXT: Final = 75
OPTION_VALUE: Final = 150
SELECT_OPTIONS: Final = 100
OVERFLOW_OPTIONS: Final = 5
TICK_OPTIONS: Final = 10
PLACEHOLDER: Final = 150
INPUT_LABEL: Final = 2000
INPUT_LENGTH: Final = 3000
IMAGE_ALT: Final = 2000
MARKDOWN_TEXT: Final = 12000
VIEW_TITLE: Final = 24
PRIVATE_METADATA: Final = 3000
CALLBACK_ID: Final = 255
VIEW_BYTES: Final = 250_000
