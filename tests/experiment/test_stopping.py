"""Stop requests by signals."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from normlab.experiment import stopping
from normlab.experiment.stopping import Stop, Stopped, accept_stop_requests


def send(number=signal.SIGINT):
    os.kill(os.getpid(), number)


def test_first_ctrl_c_requests_a_stop_and_the_second_interrupts():
    before = signal.getsignal(signal.SIGINT)
    with accept_stop_requests() as stop:
        stop.check()
        send()
        assert stop.number == signal.SIGINT
        with pytest.raises(Stopped):
            stop.check()
        with pytest.raises(KeyboardInterrupt):
            send()
    assert signal.getsignal(signal.SIGINT) is before
    assert stopping.active() is None


def test_request_interrupts_a_block_that_allows_it():
    with accept_stop_requests() as stop:
        with pytest.raises(Stopped), stop.allow_interrupts():
            send()
        assert stop.number == signal.SIGINT
        with pytest.raises(Stopped), stop.allow_interrupts():
            pytest.fail("the block must not start after a request")


def test_other_signal_handlers_are_kept():
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        with accept_stop_requests() as stop:
            send()
            assert seen == [signal.SIGINT]
            assert stop.number is None
            assert stopping.active() is stop
    finally:
        signal.signal(signal.SIGINT, before)


def test_stopped_is_not_an_exception():
    assert not issubclass(Stopped, Exception)


def test_other_threads_accept_no_requests():
    seen = []

    def work():
        with accept_stop_requests() as stop:
            seen.extend([stopping.active(), stop.number])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None, None]


def test_innermost_stop_receives_the_request():
    with accept_stop_requests() as outer, accept_stop_requests() as inner:
        assert stopping.active() is inner
        inner.request(signal.SIGTERM)
    assert (outer.number, inner.number) == (None, signal.SIGTERM)


def test_new_stop_has_no_request():
    stop = Stop()
    stop.check()
    with stop.allow_interrupts():
        assert stop.number is None
