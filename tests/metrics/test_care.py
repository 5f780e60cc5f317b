"""CARE: worked examples, the special cases of its definition, and what it refuses."""

import numpy as np
import pytest

from vetime_plugins.errors import InputError
from vetime_plugins.metrics import Frame, care_score, criticality


def quiet(n=10, alarms=()):
    flags = np.zeros(n, dtype=int)
    flags[list(alarms)] = 1
    return Frame(flags)


def faulty(n=10, event=(4, 9), alarms=()):
    flags = np.zeros(n, dtype=int)
    flags[list(alarms)] = 1
    return Frame(flags, event=event)


def test_a_worked_example():
    # Event: points 4 to 8, flagged 5 to 8 and one false alarm at 1. Quiet frame: one alarm of ten.
    result = care_score([faulty(alarms=[1, 5, 6, 7, 8]), quiet(alarms=[3])], threshold=4)
    # F0.5 with 4 true, 1 false alarm, 1 missed.
    assert result.coverage == pytest.approx(1.25 * 4 / (1.25 * 4 + 0.25 * 1 + 1))
    # Weights along the event: 1, 1, 1, 0.5, 0.
    assert result.earliness == pytest.approx(2.5 / 3.5)
    assert result.accuracy == pytest.approx(0.9)
    assert result.detected == (True, False)
    assert result.reliability == 1
    assert result.score == pytest.approx((result.coverage + 2.5 / 3.5 + 1 + 2 * 0.9) / 5)


def test_reliability_weighs_false_alarms_more_than_missed_events():
    hit, missed = faulty(alarms=range(4, 9)), faulty()
    calm, loud = quiet(), quiet(alarms=range(2, 6))
    false_alarm = care_score([hit, hit, calm, loud], threshold=4).reliability
    overlooked = care_score([hit, hit, missed, calm, calm], threshold=4).reliability
    assert false_alarm == pytest.approx(1.25 * 2 / (1.25 * 2 + 1))
    assert overlooked == pytest.approx(1.25 * 2 / (1.25 * 2 + 0.25))


def test_earlier_is_better():
    early = care_score([faulty(alarms=[4, 5]), quiet()], threshold=2)
    late = care_score([faulty(alarms=[7, 8]), quiet()], threshold=2)
    assert early.coverage == late.coverage
    assert early.earliness > late.earliness
    assert early.score > late.score


def test_without_any_alarm_the_score_is_zero():
    result = care_score([faulty(alarms=[4, 6, 8]), quiet()], threshold=72)
    assert result.score == 0
    assert result.coverage > 0
    assert result.reason is None


def test_worse_than_a_coin_gives_the_accuracy():
    assert care_score([faulty(alarms=range(10)), quiet(alarms=range(7))], threshold=3).score == pytest.approx(
        0.3
    )
    assert care_score([faulty(alarms=range(10)), quiet(alarms=range(10))], threshold=3).score == 0


def test_points_out_of_operation_count_nowhere():
    running = [1] * 6 + [0] * 4
    with_pause = care_score(
        [Frame([0, 0, 0, 1, 1, 1, 1, 1, 1, 1], (3, 8), running), Frame([0] * 6 + [1] * 4, None, running)],
        threshold=3,
    )
    assert with_pause.coverage == 1
    assert with_pause.accuracy == 1
    assert with_pause.detected == (True, False)


def test_costly_events_weigh_more_in_the_means():
    frames = [faulty(alarms=range(4, 9)), faulty(), quiet()]
    frames[0] = Frame(frames[0].alarms, frames[0].event, weight=3)
    result = care_score(frames, threshold=3)
    assert result.coverage == pytest.approx(0.75)
    assert result.earliness == pytest.approx(0.75)


def test_criticality_equals_its_algorithm():
    rng = np.random.default_rng(0)
    alarms, running = rng.random(500) < 0.5, rng.random(500) < 0.8
    count, expected = 0, []
    for alarm, on in zip(alarms, running, strict=True):
        if on:
            count = count + 1 if alarm else max(count - 1, 0)
        expected.append(count)
    assert criticality(alarms, running).tolist() == expected


@pytest.mark.parametrize(
    ("frames", "says"),
    [([faulty(alarms=[5])], "normal behaviour only"), ([quiet()], "an event")],
)
def test_one_kind_of_frame_alone_leaves_the_score_undefined(frames, says):
    result = care_score(frames)
    assert np.isnan(result.score)
    assert says in result.reason


@pytest.mark.parametrize(
    ("frames", "options", "says"),
    [
        ([], {}, "at least one frame"),
        ([quiet(), Frame([0, 2])], {}, "frame 1: labels must hold"),
        ([Frame([0, 1, 0], event=(2, 4))], {}, "event must lie in the 3 points"),
        ([Frame([0, 1, 0], event=(2, 2))], {}, "event must lie"),
        ([Frame([0, 1, 0], in_operation=[1, 1])], {}, "3 alarms, got 2"),
        ([Frame([0, 1, 0], event=(0, 1), in_operation=[0, 1, 1])], {}, "normal operation"),
        ([Frame([0, 1, 0], event=(0, 1), weight=0)], {}, "weight"),
        ([quiet()], {"beta": 0}, "beta"),
    ],
)
def test_malformed_input_is_refused(frames, options, says):
    with pytest.raises(InputError, match=says):
        care_score(frames, **options)
