"""The two-person rule, over every order in which people can decide."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from closingbell.core.approval import Decision, Verdict, refusal, same_person, standing

NAMES = st.sampled_from(["ana", "Ana@desk-1", "ben@desk-1", "ben@firm.example", "cleo", "dan"])
WHOEVER = st.tuples(NAMES, st.booleans(), st.booleans())


def human(name: str) -> str:
    return name.partition("@")[0].lower()


def decided(asker: str | None, tries: list[tuple[str, bool, bool]]) -> list[Decision]:
    """What a round holds after each of `tries` was let in or refused."""
    decisions = [] if asker is None else [Decision(asker, Verdict.REQUESTED)]
    for name, is_person, rejects in tries:
        if standing(decisions).state != "waiting":
            break
        if refusal(decisions, name, is_person) is None:
            verdict = Verdict.REJECTED if rejects else Verdict.APPROVED
            decisions.append(Decision(name, verdict))
    return decisions


@given(asker=st.none() | NAMES, tries=st.lists(WHOEVER, max_size=12))
def test_released_run_has_two_humans_behind_it_and_one_who_did_not_ask(
    asker: str | None, tries: list[tuple[str, bool, bool]]
) -> None:
    decisions = decided(asker, tries)
    stands = standing(decisions)
    agreed = {human(d.person) for d in decisions if d.verdict is not Verdict.REJECTED}
    if stands.state == "released":
        assert len(agreed) == 2
        assert any(
            d.verdict is Verdict.APPROVED and (asker is None or human(d.person) != human(asker))
            for d in decisions
        )
        assert not any(d.verdict is Verdict.REJECTED for d in decisions)
    elif stands.state == "waiting":
        assert stands.needed == 2 - len(agreed) > 0
    else:
        assert decisions[-1].verdict is Verdict.REJECTED
        assert stands.rejected_by == decisions[-1].person


@given(asker=st.none() | NAMES, tries=st.lists(WHOEVER, max_size=12))
def test_nobody_decides_twice_and_no_program_decides(
    asker: str | None, tries: list[tuple[str, bool, bool]]
) -> None:
    decisions = decided(asker, tries)
    humans = [human(d.person) for d in decisions]
    assert len(humans) == len(set(humans))
    persons = {name for name, is_person, _ in tries if is_person} | {asker}
    assert {d.person for d in decisions} <= persons


@given(decisions=st.lists(st.builds(Decision, NAMES, st.sampled_from(Verdict)), max_size=8))
def test_rows_of_any_kind_never_release_without_two_humans(decisions: list[Decision]) -> None:
    if standing(decisions).state == "released":
        assert len({human(d.person) for d in decisions}) >= 2
        assert any(d.verdict is Verdict.APPROVED for d in decisions)


@given(one=NAMES, other=NAMES)
def test_same_person_is_told_by_what_stands_before_the_at(one: str, other: str) -> None:
    assert same_person(one, other) == (human(one) == human(other))
    assert same_person(one, one)
