"""The program's own words in another language: a form, a mistake, a failed start."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from support.form_driver import focused
from support.portal_states import MODEL

SPANISH = "es"
LEFT = "Somebody else's words say more."


def _english(page):
    """Return what is marked as English on a page that is not."""
    return page.locator(".vp-main [lang=en]")


def test_set_model_speaks_the_language_of_the_page(visit):
    """Name, help, labels and warning of the form are Spanish, and so is what is wrong
    with an argument."""
    page = visit("/actions/set-model", locale=SPANISH)

    expect(page.get_by_role("heading", name="Elegir un modelo")).to_be_visible()
    expect(page.get_by_text("Personalizado acepta cualquier modelo")).to_be_visible()
    page.get_by_role("radio", name="Personalizado").check()
    arguments = page.get_by_role("textbox", name="Argumentos de vllm serve")
    expect(page.get_by_text("Primero el modelo, después las opciones.")).to_be_visible()
    arguments.fill("org/m --host 0.0.0.0 --max-model-lenn 9")
    page.get_by_role("button", name="Elegir un modelo").click()

    dialog = page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("Cambiar de modelo reinicia el servicio")
    dialog.get_by_role("button", name="Continuar").click()

    expect(arguments).to_have_attribute("aria-invalid", "true")
    wrong = page.locator(".form-error:visible")
    expect(wrong).to_contain_text(
        "--host está reservado: lo fija el propio servicio; quítelo."
    )
    expect(wrong).to_contain_text("¿quería decir --max-model-len?")
    focused(arguments)


def test_an_answer_speaks_the_language_of_the_page(visit):
    """What the action has done is told in Spanish, in heading and message."""
    page = visit("/actions/add-api-key", locale=SPANISH)
    name = page.get_by_role("textbox", name="Nombre")
    name.fill("not a name!")
    page.keyboard.press("Enter")
    expect(page.locator(".form-error:visible")).to_contain_text(
        "Se esperaba de 1 a 40 letras, cifras, espacios"
    )

    name.fill("mesa")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Clave de API añadida")).to_be_visible()
    expect(page.get_by_text("La clave mesa ya vale. Cópiela")).to_be_visible()


def _fail(scene, **changes):
    scene.select(MODEL, "--max-model-len", "40960")
    scene.run_host()
    explanation = (
        "One request of 40960 tokens needs 5.6 GiB of memory beside the model, and 2.5"
        " GiB are left. At most 24576 tokens fit."
    )
    fix = (
        "Shorten the context with --max-model-len, or choose a smaller model. The"
        ' "Apply Fix" action can do it: set --max-model-len to 24576.'
    )
    scene.fail(
        **{
            "summary": f"The engine ended with exit code 1. {explanation}",
            "cause": "context-exceeds-memory",
            "explanation": explanation,
            "fix": fix,
        }
        | changes
    )


def test_a_failed_start_is_explained_in_the_language_of_the_page(scene, visit):
    """The cause and what helps are Spanish with Spanish numbers, and nothing of the
    banner is marked as English."""
    _fail(scene)
    page = visit(locale=SPANISH)
    banner = page.get_by_role("region", name="Qué ha fallado")

    expect(banner).to_contain_text("El motor terminó con el código de salida 1.")
    expect(banner).to_contain_text(
        re.compile(r"Una petición de 40\.960 tokens necesita 5,6 GiB de memoria")
    )
    expect(banner).to_contain_text("La acción «Aplicar la corrección» puede hacerlo")
    expect(_english(page)).to_have_count(0)


@pytest.mark.parametrize("language", ["es", "pl"])
def test_words_of_somebody_else_are_marked_as_english(scene, visit, language):
    """A sentence that nobody has translated stays, and is read out as English."""
    _fail(scene, fix=f"Choose another model. {LEFT}")
    page = visit(locale=language)

    expect(_english(page)).to_have_text(LEFT)
