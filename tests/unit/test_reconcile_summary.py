"""The sentence of `reconcile`: how many tills agree, disagree or are silent, and which are not in use yet."""

import pytest

from inventory_server.commands.reconcile import summary
from inventory_server.config import TILLS_NAMED_MAX
from inventory_server.domain.answers import Finding


def agreeing(terminal: str) -> Finding:
    return Finding(terminal, "A", None, 1, None, None, 0, 0, [])


def disagreeing(terminal: str) -> Finding:
    return Finding(terminal, "A", None, 1, None, None, 0, 0, ["missing 1-2"])


def absent(terminal: str) -> Finding:
    return Finding(terminal, "A", None, None, None, None, 0, 0, [])


def silent(terminal: str) -> Finding:
    return Finding(terminal, "A", None, 1, None, 1, 0, 0, [])


MANY = [absent(f"t{n}") for n in range(TILLS_NAMED_MAX + 2)]
SENTENCES = [
    ([], "No tills are enrolled."),
    ([agreeing("t1")], "1 of 1 tills reported and agrees."),
    ([agreeing("t1"), agreeing("t2")], "2 of 2 tills reported and agree."),
    ([agreeing("t1"), absent("t2")], "1 of 2 tills reported and agrees; t2 is not in use yet."),
    ([absent("t1"), absent("t2")], "0 of 2 tills reported and agree; t1 and t2 are not in use yet."),
    ([absent("a"), absent("b"), absent("c")], "0 of 3 tills reported and agree; a, b and c are not in use yet."),
    ([agreeing("t1"), disagreeing("t1"), agreeing("t2")], "1 of 2 tills reported and agrees; 1 disagrees."),
    (
        [disagreeing("a"), disagreeing("b"), absent("c")],
        "0 of 3 tills reported and agree; 2 disagree; c is not in use yet.",
    ),
    ([agreeing("a"), silent("b")], "2 of 2 tills reported and agree; 1 is silent."),
    ([silent("a"), silent("b")], "2 of 2 tills reported and agree; 2 are silent."),
    (
        MANY,
        f"0 of 22 tills reported and agree; {', '.join(f't{n}' for n in range(20))} and 2 more are not in use yet.",
    ),
]


@pytest.mark.parametrize(("findings", "sentence"), SENTENCES)
def test_the_sentence(findings: list[Finding], sentence: str) -> None:
    assert summary(findings) == sentence
