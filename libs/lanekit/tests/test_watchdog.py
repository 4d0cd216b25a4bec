"""How long an engine may be silent."""

import asyncio

import pytest
from warmlane_lanekit.watchdog import Watchdog


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dog(clock: Clock) -> Watchdog:
    return Watchdog(least_s=30, most_s=600, clock=clock)


def generation(dog: Watchdog, clock: Clock, load_s: float, step_s: float, steps: int) -> None:
    dog.begin()
    clock.now += load_s
    for _ in range(steps):
        dog.progressed()
        clock.now += step_s
    dog.rest()


def test_until_something_was_learnt_only_the_most_counts(dog: Watchdog, clock: Clock) -> None:
    assert dog.patience_s == 600
    dog.begin()
    clock.now += 500  # a load
    dog.progressed()
    assert dog.patience_s == 600


def test_five_times_the_longest_step_is_too_long(dog: Watchdog, clock: Clock) -> None:
    generation(dog, clock, load_s=100, step_s=20, steps=4)
    dog.begin()
    assert dog.patience_s == 600, "a load says nothing about steps"
    dog.progressed()
    assert dog.patience_s == 100


def test_a_larger_clip_is_not_judged_by_smaller_ones(dog: Watchdog, clock: Clock) -> None:
    for size, patience_s in ((100, 30), (1000, 600), (1000, 250), (100, 250)):
        dog.begin(size)
        dog.progressed()
        clock.now += 1 if size == 100 else 50
        dog.progressed()
        assert dog.patience_s == (600 if size == 100 and dog._learnt == 0 else patience_s)
        dog.rest()


def test_quick_steps_do_not_make_it_bite_early(dog: Watchdog, clock: Clock) -> None:
    generation(dog, clock, load_s=0, step_s=0.1, steps=4)
    dog.begin()
    dog.progressed()
    assert dog.patience_s == 30


async def test_it_bites_after_the_silence_and_not_while_resting(dog: Watchdog, clock: Clock) -> None:
    dog = Watchdog(least_s=0.004, most_s=0.01, clock=clock)
    dog.begin()
    biting = asyncio.create_task(dog.hung())
    dog.rest()
    clock.now += 100
    done, _ = await asyncio.wait({biting}, timeout=0.05)
    assert not done
    dog.begin()
    clock.now += 1
    assert await asyncio.wait_for(biting, 5) == 1
