# SPDX-License-Identifier: ISC
"""How to make one daemon stop reading while nobody else is blocked."""
import time

from .harness import Failure, pause


def until_paused(d, key, name, which, send, step=32768):
    """send(step) until daemon d does not read any more from there what it
    counts as `which' ("bytes-in"): the last step lies in kernels, and is
    acknowledged.  Returns the bytes sent."""
    def counted():
        return [r[which] for r in d.sessions()
                if r[key] and r[key].endswith(name)][0]
    n = 0
    while n < 64 << 20:
        send(step)
        n += step
        end = time.monotonic() + 1
        while counted() < n:
            if time.monotonic() > end:
                return n
            pause(0.01)
    raise Failure("nobody stops reading")
