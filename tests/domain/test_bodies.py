"""Every fault of a body is named by its JSON pointer, and no value of it comes back."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardwatch.domain.account_submission import AccountSubmission
from cardwatch.domain.bodies import body_problems, pointer
from cardwatch.domain.submission import Submission

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("parts", "expected"), [((), ""), (("a",), "/a"), (("a/b", "c~d"), "/a~1b/c~0d"), (("~1",), "/~01"), (("",), "/")]
)
def test_pointer_escapes_as_rfc_6901_says(parts: tuple[str, ...], expected: str) -> None:
    """A tilde first, then a slash."""
    assert pointer(*parts) == expected


@given(st.dictionaries(st.sampled_from([*Submission.__struct_fields__, "x"]), JSON_VALUES))
def test_what_the_decoder_refuses_is_named(body: dict[str, Any]) -> None:
    """There is a problem exactly where the types refuse, and it points into the body or at what is missing."""
    try:
        msgspec.convert(body, Submission)
        refused = False
    except msgspec.ValidationError:
        refused = True
    problems = body_problems(body, Submission)
    assert bool(problems) >= refused
    assert all(problem.pointer.split("/")[1] in {*body, "user_id", "amount", "merchant"} for problem in problems)


@given(st.sampled_from([n for n in Submission.__struct_fields__ if n != "metadata"]), st.text("xyz", min_size=9))
def test_value_is_not_repeated(field: str, value: str) -> None:
    """A sentence says what would do, never what was sent."""
    for problem in body_problems({field: value * 30}, Submission):
        assert value not in problem.detail


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([], [""]),
        ({"home": {"zip": 1}}, ["/home/zip"]),
        ({"home": {"latitude": "x"}}, ["/home/latitude"]),
        ({"home": {"4111111111111111": 1}}, ["/home"]),
        ({"channels": ["sms", 5]}, ["/channels/1"]),
        ({"4111111111111111": 1}, [""]),
        ({"b": 1, "a": 2, "consent": 3}, ["/b", "/a", "/consent"]),
    ],
)
def test_pointer_leads_to_the_fault(body: Any, pointers: list[str]) -> None:
    """Into objects and lists, and never through a card number."""
    problems = body_problems(body, AccountSubmission)
    assert [problem.pointer for problem in problems] == pointers
    assert "4111" not in str(problems)
