"""The ids of an order and its instance: each order has exactly one instance."""

import re

ORDER_INSTANCE = re.compile(r"order-(.+)-workflow", re.DOTALL)


def instance_id_of(order_id: str) -> str:
    """Return the instance id of an order: its idempotency key in the engine."""
    return f"order-{order_id}-workflow"


def name_of(instance_id: str) -> str:
    """Return the name of an instance in a message: `order 42` for an order's, the id for any other."""
    found = ORDER_INSTANCE.fullmatch(instance_id)
    return f"order {found[1]}" if found else instance_id


def is_order_instance(instance_id: str) -> bool:
    """Return whether an instance id is an order's: only the door for orders starts those."""
    return ORDER_INSTANCE.fullmatch(instance_id) is not None


def fits(instance_id: str, subject: str) -> bool:
    """Return whether an instance may be for this subject: an order's instance is for its order alone."""
    return not is_order_instance(instance_id) or instance_id == instance_id_of(subject)
