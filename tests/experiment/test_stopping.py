"""Stopping in good order."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from normlab.experiment import stopping
from normlab.experiment.stopping import Stop, Stopped, stoppable


def press(number=signal.SIGINT):
    os.kill(os.getpid(), number)


def test_ctrl_c_asks_first_and_breaks_in_the_second_time():
    before = signal.getsignal(signal.SIGINT)
    with stoppable() as stop:
        stop.check()
        press()
        assert stop.number == signal.SIGINT
        with pytest.raises(Stopped):
            stop.check()
        with pytest.raises(KeyboardInterrupt):
            press()
    assert signal.getsignal(signal.SIGINT) is before
    assert stopping.active() is None


def test_what_changes_nothing_is_stopped_at_once():
    with stoppable() as stop:
        with pytest.raises(Stopped), stop.at_once():
            press()
        assert stop.number == signal.SIGINT
        with pytest.raises(Stopped), stop.at_once():
            pytest.fail("a request that came before is met at the door")


def test_handlers_of_others_are_left_alone():
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        with stoppable() as stop:
            press()
            assert seen == [signal.SIGINT]
            assert stop.number is None
            assert stopping.active() is stop
    finally:
        signal.signal(signal.SIGINT, before)


def test_request_is_no_exception_that_a_plugin_would_catch():
    assert not issubclass(Stopped, Exception)


def test_other_threads_are_not_asked():
    seen = []

    def work():
        with stoppable() as stop:
            seen.extend([stopping.active(), stop.number])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None, None]


def test_the_innermost_is_asked():
    with stoppable() as outer, stoppable() as inner:
        assert stopping.active() is inner
        inner.request(signal.SIGTERM)
    assert (outer.number, inner.number) == (None, signal.SIGTERM)


def test_nothing_is_asked_at_first():
    stop = Stop()
    stop.check()
    with stop.at_once():
        assert stop.number is None
