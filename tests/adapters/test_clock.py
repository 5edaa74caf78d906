"""The machine's clock never runs back and never stands still."""

from cardwatch.adapters.clock import SystemClock

SECOND_NS = 1_000_000_000


class Machine:
    """A wall clock that can be set, and a monotonic one that cannot."""

    def __init__(self) -> None:
        self.wall_ns = 1_790_000_000 * SECOND_NS
        self.monotonic_ns = 5 * SECOND_NS

    def clock(self) -> SystemClock:
        """Return the clock of this machine."""
        return SystemClock(lambda: self.wall_ns, lambda: self.monotonic_ns)

    def pass_time(self, seconds: int) -> None:
        """Let time pass on both."""
        self.wall_ns += seconds * SECOND_NS
        self.monotonic_ns += seconds * SECOND_NS


def test_it_follows_the_wall_clock() -> None:
    """As long as that runs forward, jumps included."""
    machine = Machine()
    clock = machine.clock()
    machine.pass_time(10)
    machine.wall_ns += 3600 * SECOND_NS
    assert clock.now_ms() == machine.wall_ns // 1_000_000


def test_it_goes_on_at_half_speed_while_the_wall_clock_was_set_back() -> None:
    """Questions expire after a correction of six hours too, and the two clocks meet again."""
    machine = Machine()
    machine.wall_ns += 6 * 3600 * SECOND_NS
    clock = machine.clock()
    before_ms = clock.now_ms()
    machine.wall_ns -= 6 * 3600 * SECOND_NS
    assert clock.now_ms() == before_ms
    machine.pass_time(3600)
    assert clock.now_ms() == before_ms + 1800 * 1000
    machine.pass_time(12 * 3600)
    assert clock.now_ms() == machine.wall_ns // 1_000_000
