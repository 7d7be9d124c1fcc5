"""What holds for all tests."""

from __future__ import annotations

import signal

# Tests that are started in the background ignore Ctrl-C, and so would the processes that they interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
