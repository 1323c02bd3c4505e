"""A wrong value is told in one voice, ours, at every door."""

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from approvals.mistakes import clause, first_mistake


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    amount: float
    name: str = Field("x", max_length=3)

    @field_validator("amount")
    @classmethod
    def _positive(cls, amount: float) -> float:
        if amount <= 0:
            raise ValueError("an amount is more than nothing")
        return amount


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "it is missing"),
        ({"amount": 1, "nmae": "x"}, "it is not known here"),
        ({"amount": "abc"}, "it should be a valid number, unable to parse string as a number"),
        ({"amount": 1, "name": "long"}, "it should have at most 3 characters"),
        ({"amount": -1}, "an amount is more than nothing"),
    ],
)
def test_a_models_error_is_a_clause_about_the_value(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        Form.model_validate(given)

    assert clause(first_mistake(error.value)) == said


def test_the_value_itself_is_not_repeated() -> None:
    with pytest.raises(ValidationError) as error:
        Form.model_validate({"amount": "xoxb-a-secret"})

    assert "xoxb" not in str(first_mistake(error.value))
