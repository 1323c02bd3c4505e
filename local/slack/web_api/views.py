"""views.*: modals and App Homes."""

import secrets
from typing import Any

from local.slack.arguments import required
from local.slack.errors import SlackError
from local.slack.values import Json, View
from local.slack.view_checks import check_view, too_large
from local.slack.view_state import initial_state
from local.slack.web_api.call import Call, Method
from local.slack.world import World, with_block_ids

STACK_LIMIT = 3


def refuse_bad_view(view: Any, *kinds: str) -> None:
    """Raise invalid_arguments with every complaint, or view_too_large."""
    complaints = check_view(view, kinds)
    if complaints:
        raise SlackError("invalid_arguments", response_metadata={"messages": complaints})
    if too_large(view):
        raise SlackError("view_too_large")


def build(world: World, user: str, body: Json) -> View:
    """Make a view of a checked body; it is not shown yet."""
    view_id = world.next_id("V")
    whole = body | {"blocks": with_block_ids(body["blocks"])}
    return View(
        id=view_id,
        user=user,
        type=body["type"],
        hash=_new_hash(world),
        body=whole,
        root_view_id=view_id,
        state=initial_state(whole["blocks"]),
        team_id=world.team.id,
        app_id=world.app_id,
        bot_id=world.bot_id,
    )


def _new_hash(world: World) -> str:
    return f"{int(world.now())}.{secrets.token_hex(4)}"


def _refuse_known_external_id(world: World, body: Json) -> None:
    wanted = body.get("external_id")
    if wanted and any(view.body.get("external_id") == wanted for view in open_views(world)):
        raise SlackError("duplicate_external_id")


def open_views(world: World) -> list[View]:
    """List every view that somebody has before them."""
    return [view for stack in list(world.modals.values()) for view in stack] + list(world.homes.values())


def push_view(world: World, user: str, body: Json) -> View:
    """Put a view on top of a user's stack. Raises push_limit_reached."""
    stack = world.modals.setdefault(user, [])
    if len(stack) >= STACK_LIMIT:
        raise SlackError("push_limit_reached")
    view = build(world, user, body)
    if stack:
        view.root_view_id, view.previous_view_id = stack[0].id, stack[-1].id
    stack.append(view)
    world.announce("view", user=user, view=view.id)
    return view


def replace_view(world: World, view: View, body: Json) -> None:
    """Give a view new content, keeping what the user typed into blocks and elements that stay."""
    view.body = body | {"blocks": with_block_ids(body["blocks"])}
    fresh = initial_state(view.blocks)
    for block_id, actions in fresh.items():
        kept = view.state.get(block_id, {})
        actions.update({action: kept[action] for action in actions if action in kept})
    view.state, view.errors, view.hash = fresh, {}, _new_hash(world)
    world.announce("view", user=view.user, view=view.id)


def open_view(call: Call) -> Json:
    """Open a modal for whoever the trigger_id came from."""
    (trigger_id,) = required(call.arguments, "trigger_id")
    body = call.arguments.get("view")
    refuse_bad_view(body, "modal")
    _refuse_known_external_id(call.world, body)  # type: ignore[arg-type] # refuse_bad_view lets only objects through
    trigger = call.world.exchange_trigger(trigger_id)
    call.world.modals.pop(trigger.user, None)
    return {"view": push_view(call.world, trigger.user, body).wire()}  # type: ignore[arg-type] # as above


def push(call: Call) -> Json:
    """Put a modal on top of the open one."""
    (trigger_id,) = required(call.arguments, "trigger_id")
    body = call.arguments.get("view")
    refuse_bad_view(body, "modal")
    _refuse_known_external_id(call.world, body)  # type: ignore[arg-type] # refuse_bad_view lets only objects through
    trigger = call.world.exchange_trigger(trigger_id)
    if not call.world.modals.get(trigger.user):
        raise SlackError("not_found")
    return {"view": push_view(call.world, trigger.user, body).wire()}  # type: ignore[arg-type] # as above


def _find(call: Call) -> View:
    view_id, external_id = call.arguments.get("view_id"), call.arguments.get("external_id")
    for view in open_views(call.world):
        if view.id == view_id or (external_id and view.body.get("external_id") == external_id):
            return view
    raise SlackError("not_found")


def update(call: Call) -> Json:
    """Rewrite an open view. Raises hash_conflict when somebody was faster."""
    body = call.arguments.get("view")
    view = _find(call)
    refuse_bad_view(body, view.type)
    given = call.arguments.get("hash")
    if given and given != view.hash:
        raise SlackError("hash_conflict", view=view.wire())
    replace_view(call.world, view, body)  # type: ignore[arg-type] # refuse_bad_view lets only objects through
    return {"view": view.wire()}


def publish(call: Call) -> Json:
    """Put an App Home before a user. Raises not_enabled, user_not_found or hash_conflict."""
    world, (user,) = call.world, required(call.arguments, "user_id")
    body = call.arguments.get("view")
    refuse_bad_view(body, "home")
    if not world.manifest.home_tab_enabled:
        raise SlackError("not_enabled")
    if user not in world.users:
        raise SlackError("user_not_found")
    known, given = world.homes.get(user), call.arguments.get("hash")
    if known and given and given != known.hash:
        raise SlackError("hash_conflict", view=known.wire())
    fresh = build(world, user, body)  # type: ignore[arg-type] # refuse_bad_view lets only objects through
    if known:
        fresh.id, fresh.root_view_id = known.id, known.root_view_id
    world.homes[user] = fresh
    world.announce("home", user=user)
    return {"view": fresh.wire()}


METHODS = {
    "views.open": Method(open_view),
    "views.push": Method(push),
    "views.update": Method(update),
    "views.publish": Method(publish),
}
