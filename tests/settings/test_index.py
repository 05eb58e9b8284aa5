"""Every setting leads to tests that exist and set it; an empty variable sets nothing."""

import ast
from pathlib import Path

import pytest

from novita_gpu.settings import Settings
from tests.settings.index import SHOWN

TESTS = Path(__file__).parent.parent


def test_every_setting_has_a_row_and_every_row_a_setting() -> None:
    assert set(SHOWN) == set(Settings.model_fields), "name the test that shows what it does: tests/settings/index.py"


@pytest.mark.parametrize("name", SHOWN)
def test_its_tests_exist_and_one_of_their_files_sets_it(name: str) -> None:
    """In the file, or in what a whole service is given by default."""
    texts = [(TESTS / "plane.py").read_text("utf-8")]
    for place in SHOWN[name]:
        path, _, test = place.partition("::")
        texts.append((TESTS / path).read_text("utf-8"))
        tree = ast.parse(texts[-1])
        found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert test in found, place
    assert any(name in text or name.upper() in text for text in texts)


def test_t12_all_variables_may_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Settings.load(novita_api_key="sim-key")
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), "")
    assert Settings.load(novita_api_key="sim-key") == before
