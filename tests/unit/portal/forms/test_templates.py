"""What an entry of a list is called."""

from __future__ import annotations

import pytest

from vllm_pkg.actions import forms
from vllm_pkg.portal.forms.templates import HIDDEN, fill_template

SPEC: forms.InputSpec = {
    "name": forms.text("Name", required=True),
    "secret": forms.text("Secret", required=True, masked=True),
    "kind": forms.union("Kind", {}, default=None),
}
VALUE = {"name": "HF_TOKEN", "secret": "hunter2", "kind": {"selection": "a"}}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (None, ""),
        ("fixed", "fixed"),
        ("{{name}}", "HF_TOKEN"),
        ("{{ name }}: {{kind.selection}}", "HF_TOKEN: a"),
        ("{{gone}}", ""),
        ("{{name.gone}}", ""),
        ("{{kind}}", ""),
        ("{{secret}}", HIDDEN),
    ],
)
def test_places_are_filled(template, text):
    """Places take values by key, also nested ones, and never what is masked."""
    assert fill_template(template, SPEC, VALUE) == text


def test_an_empty_secret_is_no_name():
    """Bullets stand for a secret that is there only."""
    assert fill_template("{{secret}}", SPEC, VALUE | {"secret": ""}) == ""
