"""Payloads that ended or stalled a workflow, and their relatives: as they are raised at the sidecar's port."""

import json
import random

PAYLOADS: tuple[str, ...] = (
    "",
    " ",
    "{",
    "not json",
    "\ufeff{}",
    '\ufeff{"approved": true}',
    "[" * 900 + "]" * 900,
    "[" * 100_000,
    '{"a":' * 900 + "1" + "}" * 900,
    '{"\\ud800": 1}',
    '{"approved": true, "\\udfff": 1}',
    '{"decision": {"id": "\\ud800"}, "key_id": "\\ud800", "mac": "\\ud800"}',
    "9" * 5000,
    '{"approved": ' + "9" * 5000 + "}",
    "1e400",
    "-1e400",
    "NaN",
    "Infinity",
    '{"approved": NaN}',
    '{"submission": {"type": "withdraw"}, "key_id": "k1", "mac": "0"}',
    '{"submission": {"type": "approve"}, "key_id": "k1", "mac": "0"}',
    '{"submission": {"type": []}, "key_id": "k1", "mac": "0"}',
    '{"submission": [], "decision": {}, "key_id": "k1", "mac": "0"}',
    '{"submission": null, "key_id": null, "mac": null}',
    '{"__durabletask_autoobject__": true}',
    '{"__durabletask_autoobject__": true, "approved": true}',
    '{"decision": {"__durabletask_autoobject__": true}, "key_id": "k1", "mac": "0"}',
    '{"__durabletask_autoobject__": {"a": 1}, "1": 2}',
    "null",
    "true",
    "0",
    '""',
    '"yes"',
    "[]",
    "{}",
    "\x00",
    '{"approved": true}\x00',
    "{'approved': True}",
    '{"approved": true, "approved": false}',
    '{"approved": true}{"approved": true}',
    '{"approved": true, "reason": "' + "x" * 100_000 + '"}',
    '{"too_long": -1}',
    json.dumps("x" * 250_000),
    '"' + '\\"' * 60_000 + '"',
)


def fuzzed(count: int, longest: int, seed: int = 15) -> list[str]:
    """Return payloads of every length up to `longest` characters: broken, nested, odd, and nearly right ones."""
    chance = random.Random(seed)  # payloads of a test
    return [_one(chance, longest) for _ in range(count)]


def _one(chance: random.Random, longest: int) -> str:
    text = chance.choice(PAYLOADS)
    match chance.randrange(5):
        case 0:
            place = chance.randrange(len(text) + 1)
            return (text[:place] + chance.choice('{}[]",:\\ \x7f\u2028\ufeff0eN') + text[place:])[:longest]
        case 1:
            return json.dumps({chance.choice(["approved", "decision", "mac", "key_id"]): chance.choice(PAYLOADS)})[
                :longest
            ]
        case 2:
            kinds = [chance.choice([None, True, 1, 1.5, "x", [], {}]) for _ in range(3)]
            return json.dumps(dict(zip(["decision", "key_id", "mac"], kinds, strict=True)))
        case 3:
            return chance.choice(["[", "{", '"', "9", "\\u", "é", " "]) * int(longest ** chance.random())
        case _:
            return "".join(
                chr(chance.choice([chance.randrange(1, 128), chance.randrange(0xE000, 0x10FFFF)])) for _ in range(50)
            )
