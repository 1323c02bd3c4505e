"""The table of ends is public: programs read its codes and exit codes."""

from approvals.ends import ENDS, STILL_WAITING, end_of, shown


def test_the_exit_codes_are_those_that_are_documented() -> None:
    codes = {end.code: end.exit_code for end in ENDS.values()}
    assert codes == {
        "approved": 0, "overridden": 0, "rejected": 10, "timed_out": 11, "withdrawn": 12, "terminated": 14,
        "failed": 15, "expired": 16,
    }  # fmt: skip
    assert STILL_WAITING not in codes.values()


def test_a_code_of_a_later_release_is_shown_as_it_is() -> None:
    assert (shown("rejected"), shown("split_in_two"), shown(None)) == ("Rejected", "Split in two", "")
    assert end_of("split_in_two") is None
