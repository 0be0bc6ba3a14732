from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from closingbell.executor.annotation import Misfit, _Model, _plain_fit

SCALARS = (int, str, float, bool, type(None))
ANNOTATIONS: list[Any] = [
    *SCALARS,
    list,
    dict,
    *(list[kind] for kind in SCALARS),  # type: ignore[valid-type]
    *(dict[str, kind] for kind in SCALARS),  # type: ignore[valid-type]
    *(kind | None for kind in SCALARS[:-1]),
    int | str,
    int | float,
    float | str,
    list[int] | None,
]

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["5", "1.5", "true", "null", ""])
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


def answer(fit: Any, value: Any) -> Any:
    try:
        fitted = fit(value)
    except Misfit:
        return "refused"
    return type(fitted), repr(fitted)


@given(st.sampled_from(ANNOTATIONS), json_values)
def test_both_ways_to_check_a_plain_annotation_give_the_same_answer(
    annotation: Any, value: Any
) -> None:
    plain = _plain_fit(annotation)
    assert plain is not None
    assert answer(plain, value) == answer(_Model(annotation), value)
