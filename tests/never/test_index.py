"""The index leads to tests that exist."""

import ast
from pathlib import Path

import pytest

from tests.never.index import INDEX

TESTS = Path(__file__).parent.parent


@pytest.mark.parametrize("number", INDEX)
def test_every_number_leads_to_tests_that_exist(number: str) -> None:
    for place in INDEX[number]:
        path, _, name = place.partition("::")
        tree = ast.parse((TESTS / path).read_text())
        found = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        assert name in {function.name for function in found}, place


def test_no_test_here_is_left_out_of_the_index() -> None:
    tree = ast.parse((TESTS / "never" / "test_never.py").read_text())
    here = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    indexed = {place.partition("::")[2]: number for number, places in INDEX.items() for place in places}
    for name in (name for name in here if name.startswith("test_")):
        assert name.startswith(f"test_{indexed[name].lower()}_")
