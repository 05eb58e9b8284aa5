"""Hashes of keys are compared without telling how much of a guess was right."""

from time import perf_counter

from novita_gpu.control.admission import hashed, is_same

# A comparison that ends at the first difference is done with the one a hundred times sooner than with the other.
LONG = "a" * 1_000_000
WRONG_AT_ONCE, WRONG_AT_LAST = "b" + LONG[1:], LONG[:-1] + "b"
LOOKS = 30


def test_s1_a_guess_that_is_nearly_right_takes_as_long_as_one_that_is_all_wrong() -> None:
    at_once: list[float] = []
    at_last: list[float] = []
    for _ in range(LOOKS):
        at_once.append(took(WRONG_AT_ONCE))
        at_last.append(took(WRONG_AT_LAST))
    assert 0.5 < min(at_last) / min(at_once) < 2


def took(guess: str) -> float:
    began = perf_counter()
    assert not is_same(guess, LONG)
    return perf_counter() - began


def test_s1_keys_that_differ_in_one_letter_have_hashes_that_differ_throughout() -> None:
    one, other = hashed("ngpu_" + "a" * 43), hashed("ngpu_" + "a" * 42 + "b")
    assert sum(a == b for a, b in zip(one, other, strict=True)) < len(one) / 4
