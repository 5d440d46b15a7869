"""Who of many may be at work."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dify.places import Places


def filled(limit, *who):
    places = Places(limit)
    for each in who:
        places.enter(each, each[0])
    return places


def inside(places, *who):
    return [each for each in who if places.has(each)]


def test_who_comes_first_is_in_and_who_waits_is_next():
    places = filled(2, "a1", "a2", "a3", "a4")

    assert inside(places, "a1", "a2", "a3", "a4") == ["a1", "a2"]
    list(places.given())
    places.leave("a1")

    assert list(places.given()) == ["a3"]
    assert (places.enter("a3", "a"), places.enter("a4", "a"), places.waiting) == (True, False, 1)


def test_who_has_many_makes_room_for_who_has_none():
    places = filled(3, "a1", "a2", "a3", "a4", "b1")

    assert places.is_wanted("a2")
    assert places.turn("a2")

    assert inside(places, "a1", "a2", "a3", "a4", "b1") == ["a1", "a3", "b1"]
    # Whoever has one gives it to nobody who has more.
    assert not places.is_wanted("b1")
    assert not places.turn("b1")


def test_among_his_own_it_goes_round():
    places, order = filled(1, "a1", "a2", "a3"), []

    for _ in range(6):
        (at_work,) = inside(places, "a1", "a2", "a3")
        order.append(at_work)
        assert places.turn(at_work)

    assert order == ["a1", "a2", "a3"] * 2


def test_while_nobody_waits_nobody_moves():
    places = filled(3, "a1", "a2")

    assert not places.turn("a1")
    assert not places.turn("stranger")
    places.leave("stranger")
    assert inside(places, "a1", "a2") == ["a1", "a2"]


def test_a_crowd_of_one_owner_leaves_each_other_owner_his_share():
    crowd = [f"a{number}" for number in range(100)]
    places = filled(24, *crowd, "b1", "c1", "c2")
    turns = Counter()

    for _ in range(200):
        for who in inside(places, *crowd, "b1", "c1", "c2"):
            turns[who] += 1
            places.turn(who)

    assert min(turns[who] for who in ("b1", "c1", "c2")) > 190
    assert min(turns[who] for who in crowd) > 30


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(["enter", "leave", "turn"]), st.sampled_from("abc"), st.integers(0, 3))),
)
def test_no_place_lies_empty_while_somebody_waits_and_nobody_has_two(limit, steps):
    places, known = Places(limit), set()
    for step, owner, number in steps:
        who = f"{owner}{number}"
        before = inside(places, *sorted(known))
        if step == "enter":
            known.add(who)
            assert places.enter(who, owner) == places.has(who)
        elif step == "leave":
            known.discard(who)
            places.leave(who)
        else:
            wanted = places.is_wanted(who)
            assert places.turn(who) == wanted
            assert not (wanted and places.has(who))
        now = inside(places, *sorted(known))

        assert len(now) == min(limit, len(known))
        assert places.waiting == len(known) - len(now)
        assert set(places.given()) == set(now) - set(before)
