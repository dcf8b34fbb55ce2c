"""Settings: the Hub's token, backups, and the support bundle."""

from __future__ import annotations

import tarfile
import zipfile

import pytest
from playwright.sync_api import expect

from support.accessibility import barriers, overflow_px
from support.hub_cache import write_cached_model
from vllm_pkg.service.backup.restoring import verify_backup
from vllm_pkg.state.credentials import ensure_key, load_key
from vllm_pkg.state.keys import now_utc, rotate_key


@pytest.fixture(name="settings")
def settings_fixture(settings):
    """A service that has a key, and a model on the disk."""
    write_cached_model(settings.models_dir, "acme/tiny")
    ensure_key(settings)
    return settings


@pytest.fixture(name="key")
def key_fixture(settings):
    """The primary key as it is now."""
    return load_key(settings)


def _region(page, name):
    return page.get_by_role("region", name=name, exact=True)


def _download(page, name, folder):
    with page.expect_download() as started:
        page.get_by_role("link", name=name, exact=True).click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def test_a_backup_is_downloaded_and_restored(visit, settings, key, tmp_path):
    """What the browser got is whole; restoring it brings the old key back."""
    page = visit("/settings")
    backup = _download(page, "Download a backup", tmp_path)
    assert verify_backup(backup).has_key
    rotate_key(settings, 0, now_utc())
    assert load_key(settings) != key

    page.locator("input[type=file]").set_input_files(backup)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Restore this backup?")
    assert load_key(settings) != key
    dialog.get_by_role("button", name="Restore it").click()

    expect(_region(page, "Backup")).to_contain_text("is restored")
    assert load_key(settings) == key


def test_a_backup_with_models_holds_their_files(visit, tmp_path):
    """It is written while it is sent, and is whole."""
    page = visit("/settings")

    backup = _download(page, "Download a backup with the models", tmp_path)

    assert verify_backup(backup).models == ("acme/tiny",)


def test_a_damaged_backup_changes_nothing(visit, settings, key, tmp_path):
    """The page says what is wrong, and asks nothing."""
    broken = tmp_path / "broken.tar"
    with tarfile.open(broken, "w") as archive:
        archive.addfile(tarfile.TarInfo("nonsense"))
    page = visit("/settings")

    page.locator("input[type=file]").set_input_files(broken)

    told = _region(page, "Backup").get_by_role("status").locator("p")
    # What is wrong, and what to do about it.
    expect(told).to_have_count(2)
    assert page.get_by_role("dialog").count() == 0
    assert load_key(settings) == key


def test_a_support_bundle_holds_no_key(visit, key, tmp_path):
    """It opens as a zip file, and the key is in none of its members."""
    page = visit("/settings")

    bundle = _download(page, "Download the bundle", tmp_path)

    with zipfile.ZipFile(bundle) as archive:
        assert "versions.json" in archive.namelist()
        found = [
            name for name in archive.namelist() if key.encode() in archive.read(name)
        ]
    assert found == []


def test_the_token_of_the_hub_is_set_by_its_action(visit):
    """The form opens over the page, with a field for the token."""
    page = visit("/settings")
    hub = _region(page, "Hugging Face token")
    expect(hub).to_contain_text("No token is stored.")

    hub.get_by_role("button", name="Set or test the token").click()

    expect(page.get_by_role("dialog").get_by_label("Token").first).to_be_visible()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_everybody_can_use_it(visit, width, color_scheme):
    """axe-core finds no barrier, and nothing is wider than the screen."""
    page = visit("/settings", width=width, color_scheme=color_scheme)
    expect(_region(page, "Backup")).to_be_visible()

    assert barriers(page) == []
    assert overflow_px(page) <= 0
