"""From a policy file's text to its value. It chooses no rule; the keys are declared in `model`."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from approvals.digest import version_of
from approvals.mistakes import clause
from approvals.policy.file import PolicyError, read_tree
from approvals.policy.model import Policy, Rule
from approvals.policy.reading import Problems


def parse_policy(source: str, name: str = "policy.yml") -> Policy:
    """Return the policy. Raises PolicyError with line and reason of all that is wrong; `name` is for its text."""
    tree, problems = read_tree(source, name), Problems()
    try:
        policy = Policy.model_validate(tree, context=problems)
    except ValidationError as error:
        for each in error.errors():
            problems.add(_line(each, tree.line), clause(each))
        raise PolicyError(name, tuple(problems.found)) from None
    _refuse_repeated(policy.rules, problems)
    _refuse_unknown_fields(policy, problems)
    if problems.found:
        raise PolicyError(name, tuple(problems.found))
    content = policy.model_copy(update={"version": ""})
    return policy.model_copy(update={"version": version_of(content)})


def _line(error: ErrorDetails, otherwise: int) -> int:
    """Return the line of the value that was refused: pydantic hands back the node, or the model that was made of it."""
    return int(getattr(error["input"], "line", 0)) or otherwise


def _refuse_unknown_fields(policy: Policy, problems: Problems) -> None:
    """Note a rule's field that none of its kinds has: the rule could never apply."""
    for rule in policy.rules:
        declared = [policy.kinds[kind] for kind in rule.when.effective_kinds if kind in policy.kinds]
        if len(declared) != len(rule.when.effective_kinds):
            continue  # a kind that is not declared takes any fields
        known = {each.name for kind in declared for each in kind.fields}
        for name in sorted(rule.when.fields.keys() - known):
            problems.add(rule.line, f"the rule {rule.name!r} is for the field {name!r}, which its kinds do not have")


def _refuse_repeated(rules: tuple[Rule, ...], problems: Problems) -> None:
    first: dict[str, int] = {}
    for rule in rules:
        if first.setdefault(rule.name, rule.line) != rule.line:
            problems.add(rule.line, f"the rule {rule.name!r} stands here twice, first in line {first[rule.name]}")
