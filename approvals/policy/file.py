"""A policy file's YAML as a tree that knows its lines. It checks form only; what the words mean is `model`'s.

Nothing of YAML's power is let in: no tags, no anchors, no aliases, no second document, bounded in size and depth.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

LARGEST_POLICY_BYTES = 512 * 1024
DEEPEST_POLICY = 12
PLAIN = "tag:yaml.org,2002:"
SCALARS = frozenset(PLAIN + kind for kind in ("str", "int", "float", "bool", "null", "timestamp"))


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where. Lines count from 1."""

    line: int
    reason: str


class PolicyError(ValueError):
    """A policy file can't be used. `problems` are all that were found, each with its line."""

    def __init__(self, name: str, problems: tuple[Problem, ...]) -> None:
        self.name = name
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(f"{name}:{problem.line}: {problem.reason}" for problem in self.problems))


@dataclass(frozen=True)
class Scalar:
    """A single value: its text as written, and what YAML takes it for (str, int, float, bool, null, timestamp)."""

    line: int
    text: str
    kind: str


@dataclass(frozen=True)
class Listing:
    """A list."""

    line: int
    items: tuple["Node", ...]


@dataclass(frozen=True)
class Mapping:
    """Keys with their values, in the file's order. `lines` says where each key stands."""

    line: int
    entries: dict[str, "Node"]
    lines: dict[str, int]


Node = Scalar | Listing | Mapping


def read_tree(text: str, name: str) -> Node:
    """Return the file's tree. Raises: PolicyError with the line of each mistake."""
    if len(text.encode(errors="replace")) > LARGEST_POLICY_BYTES:
        raise PolicyError(
            name, (Problem(1, f"the file is larger than {LARGEST_POLICY_BYTES // 1024} KiB: no policy is that long"),)
        )
    try:
        problems = tuple(_refused(text))
        root = None if problems else yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise PolicyError(name, (_yaml_problem(error),)) from None
    except (ValueError, OverflowError) as error:  # chr() complains about an escape like "\UFFFFFFFF"
        raise PolicyError(name, (Problem(1, f"the file is not readable YAML: {error}"),)) from None
    if problems:
        raise PolicyError(name, problems)
    if root is None:
        raise PolicyError(name, (Problem(1, "the file is empty: it needs at least `rules`"),))
    found: list[Problem] = []
    tree = _plain(root, found)
    if found:
        raise PolicyError(name, tuple(found))
    return tree


def _yaml_problem(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error).splitlines()[0]
    return Problem(mark.line + 1 if mark else 1, f"the file is not readable YAML: {reason}")


def _refused(text: str) -> Iterator[Problem]:
    # On events, before anything is built: composing recurses, and an alias can stand for a billion values.
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if getattr(event, "anchor", None):
            kind = "alias *" if isinstance(event, yaml.AliasEvent) else "anchor &"
            yield Problem(line, f"the {kind}{getattr(event, 'anchor', '')} is not supported: write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST_POLICY:
            yield Problem(line, f"values are nested more than {DEEPEST_POLICY} deep: no policy needs that")
            return


def _plain(node: yaml.Node, problems: list[Problem]) -> Node:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode) and node.tag == PLAIN + "map":
        return _mapping(node, line, problems)
    if isinstance(node, yaml.SequenceNode) and node.tag == PLAIN + "seq":
        return Listing(line, tuple(_plain(item, problems) for item in node.value))
    if node.tag not in SCALARS:
        problems.append(Problem(line, f"the tag {node.tag.removeprefix(PLAIN)} is not supported: use plain values"))
    return Scalar(line, str(node.value), node.tag.removeprefix(PLAIN))


def _mapping(node: yaml.MappingNode, line: int, problems: list[Problem]) -> Mapping:
    entries: dict[str, Node] = {}
    lines: dict[str, int] = {}
    for key, value in node.value:
        at = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            problems.append(Problem(at, "a key must be a plain word"))
            continue
        if key.value in entries:
            problems.append(Problem(at, f"the key {key.value!r} stands here twice, first in line {lines[key.value]}"))
            continue
        entries[key.value] = _plain(value, problems)
        lines[key.value] = at
    return Mapping(line, entries, lines)
