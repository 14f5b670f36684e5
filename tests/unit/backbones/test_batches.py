"""Requests of several people share a batch, and each gets its own results."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from torch import Tensor

from coop_demo.backbones.batches import SharedBatches
from coop_demo.turns import Turns


class Tower:
    """Doubles what it is given and remembers the sizes of its batches."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, pixels: list[Tensor]) -> list[Tensor]:
        self.sizes.append(len(pixels))
        if any(float(one.sum()) < 0 for one in pixels):
            raise ValueError("a negative picture")
        return [2 * one for one in pixels]


def ask_together(requests: list[list[float]], *, most: int = 16) -> tuple[Tower, list]:
    """Requests that all wait while the only turn is taken, and what each was answered."""
    turns, tower = Turns(1), Tower()
    shared = SharedBatches(turns, most)
    answers: list = [None] * len(requests)

    def ask(number: int) -> None:
        pixels = [torch.tensor(value) for value in requests[number]]
        try:
            answers[number] = [float(one) for one in shared.encode("mini", pixels, tower)]
        except ValueError as error:
            answers[number] = str(error)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(requests))]
    with turns.long():
        for n, thread in enumerate(threads, 1):
            thread.start()
            while len(turns._waiting) < n:
                time.sleep(0.001)
    for thread in threads:
        thread.join(20)
    assert not shared._waiting
    return tower, answers


def test_what_waits_goes_through_the_tower_together():
    tower, answers = ask_together([[1.0], [2.0, 3.0], [4.0]])
    assert tower.sizes == [4]
    assert answers == [[2.0], [4.0, 6.0], [8.0]]


def test_a_batch_holds_no_more_than_it_may():
    tower, answers = ask_together([[float(n)] for n in range(10)], most=4)
    assert max(tower.sizes) <= 4
    assert sum(tower.sizes) == 10
    assert answers == [[2.0 * n] for n in range(10)]


def test_one_request_at_fault_costs_nobody_else_an_answer():
    _, answers = ask_together([[1.0], [-1.0], [3.0]])
    assert answers == [[2.0], "a negative picture", [6.0]]


def test_a_request_alone_is_answered_at_once():
    tower = Tower()
    shared = SharedBatches(Turns(1))
    assert [float(one) for one in shared.encode("mini", [torch.tensor(2.0)], tower)] == [4.0]
    with pytest.raises(ValueError, match="negative"):
        shared.encode("mini", [torch.tensor(-2.0)], tower)


def test_who_gets_a_turn_while_another_brings_the_result_waits_for_it():
    turns, asked, free = Turns(2), threading.Event(), threading.Event()
    shared, answers = SharedBatches(turns), []

    def slow(pixels: list[Tensor]) -> list[Tensor]:
        asked.set()
        free.wait(20)
        return [2 * one for one in pixels]

    def ask(value: float) -> None:
        answers.append(float(shared.encode("mini", [torch.tensor(value)], slow)[0]))

    threads = [threading.Thread(target=ask, args=(value,)) for value in (1.0, 2.0)]
    with turns.long():
        held = threading.Event()
        other = threading.Thread(target=lambda: _hold(turns, held))
        other.start()
        while turns._busy < 2:
            time.sleep(0.001)
        for n, thread in enumerate(threads, 1):
            thread.start()
            while len(turns._waiting) < n:
                time.sleep(0.001)
    asked.wait(20)  # one of them has the first turn, and both requests
    held.set()  # the other has the second turn now
    other.join(20)
    time.sleep(0.05)
    free.set()
    for thread in threads:
        thread.join(20)
    assert sorted(answers) == [2.0, 4.0]


def _hold(turns: Turns, held: threading.Event) -> None:
    with turns.long():
        held.wait(20)
