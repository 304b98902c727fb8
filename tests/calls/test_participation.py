"""States of a participation: the table, and that nothing leaves it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uac_trio.calls.fact import FOLLOWS, ParticipationBegan, ParticipationEnded, RecordingKnown
from uac_trio.calls.participation import TRANSITIONS, Observation, Participation, Role, State, Stopwatch


def participation(state: State = State.IDLE) -> Participation:
    return Participation("101", Role.CALLEE, "1.1", 0.0, state=state)


def test_every_state_is_reached_and_every_one_but_done_is_left() -> None:
    reached = {State.IDLE} | {state for row in TRANSITIONS.values() for state in row.values()}
    assert reached == set(State) == set(TRANSITIONS)
    assert [state for state, row in TRANSITIONS.items() if not row] == [State.DONE]


def test_every_observation_means_something() -> None:
    assert {observation for row in TRANSITIONS.values() for observation in row} == set(Observation)


def test_who_began_can_always_end() -> None:
    """From every state the end is one observation away, but for who has not begun."""
    for state in (State.RINGING, State.TALKING, State.HELD, State.UNDECIDED):
        one = participation(state)
        one.enter(Observation.GONE)
        assert one.state is State.DONE


@given(st.lists(st.sampled_from(Observation), max_size=20))
def test_any_way_through_the_table_ends_at_most_once(observations: list[Observation]) -> None:
    """What does not follow is refused and changes nothing."""
    one = participation()
    for observation in observations:
        before = one.state
        if observation in TRANSITIONS[before]:
            one.enter(observation)
            assert before is not State.DONE
        else:
            with pytest.raises(KeyError):
                one.enter(observation)
            assert one.state is before


def test_facts_follow_one_another() -> None:
    """A participation begins, may be answered, ends, may have a recording."""
    assert FOLLOWS[None] == (ParticipationBegan,)
    assert ParticipationEnded in FOLLOWS[ParticipationBegan]
    assert FOLLOWS[RecordingKnown] == ()


def test_a_stopwatch_sums_up_stretches() -> None:
    watch = Stopwatch()
    watch.run(True, 1.0)
    watch.run(True, 2.0)
    watch.run(False, 3.0)
    watch.run(False, 9.0)
    watch.run(True, 10.0)
    assert watch.read(12.5) == 4.5
    watch.run(False, 9.0)  # a clock that was set back adds nothing
    assert watch.total == 2.0


def test_ring_time_is_from_the_first_ring_to_answer_or_end() -> None:
    one = participation()
    assert one.ring_secs is None
    one.ended_at = 7.0
    assert one.ring_secs == 7.0
    one.answered_at = 2.0
    assert one.ring_secs == 2.0
