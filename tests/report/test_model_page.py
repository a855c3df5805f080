"""The page of the model's rules."""

from sysevent.checkout import ROOT
from sysevent.conformance.contracts import CONTRACTS
from sysevent.report import model_page


def test_the_page_has_every_rule():
    page = model_page.page()
    for contract in CONTRACTS.values():
        for rule in contract.rules:
            assert f"| `{rule.name}` |" in page


def test_the_page_is_up_to_date():
    committed = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    assert committed == model_page.page(), (
        "regenerate it: python -m sysevent.report.model_page > docs/model.md"
    )
