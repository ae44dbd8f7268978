"""The live page in a browser: the same result as `translate`, a reader's way, and what it says when it cannot."""

import base64
import gzip
import io
import json
import shutil
import subprocess
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from live import PART, REFERENCES, SKETCHES, live_files, runtime, scripts
from segin_core.data import avatars
from segin_core.errors import InputError
from segin_core.translate import Network, on_square

ASSETS = Path(__file__).parent.parent / "book" / "assets"
PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>live</title>{}<script src="_static/live.js"></script>'
)
LIMIT = 12_000_000  # bytes to load
HOW = {"layer": "relu3_1", "patch": 3, "shift": 0, "random": 0, "other": 0}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The live page as it is built, without the book around it."""
    root = tmp_path_factory.mktemp("site")
    live_files(root)
    shutil.copytree(ASSETS, root / "_static")
    shutil.move(root / "assets" / "live", root / "_static" / "live")
    (root / "live.html").write_text(PAGE.format((ASSETS / "live.html").read_text()))
    if '"missing"' in (root / "_static/live/manifest.js").read_text():
        pytest.skip("npm cannot fetch ONNX Runtime Web here")
    return root


@pytest.fixture(scope="module")
def live(browser: Browser, site: Path) -> Page:
    """The page, opened as a file, when the first sketch is coloured."""
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto((site / "live.html").as_uri())
    expect(page.locator("#live-state")).to_contain_text("Coloured in", timeout=120_000)
    return page


def address(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def test_twenty_pairs_are_coloured_as_translate_does(live: Page) -> None:
    sketches, references = ([avatars.pair(Path(name), 64) for name in names] for names in (SKETCHES, REFERENCES))
    network = Network()  # what `translate` calls
    for i in range(20):
        x, r = sketches[i % 8]["x"], references[(i + i // 8) % 8]["y"]
        right = network(x, network.reference(r))
        found = live.evaluate(
            """async ([x, r, how]) => {
                const result = await live.colour(await live.values(x, 1), await live.values(r, 3), how);
                const bytes = (values) => [...picture.toImage(values, 64).data].filter((_, i) => i % 4 < 3);
                return ["image", "w", "mask"].map((name) => bytes(result[name])).concat([result.index]);
            }""",
            [address(x), address(r), HOW],
        )
        image, w, mask = (np.array(values).reshape(64, 64, 3).astype(float) for values in found[:3])
        assert np.abs(image - np.asarray(right.output)).mean() < 1
        assert np.abs(w - np.asarray(right.auxiliary)).mean() < 1
        assert np.abs(mask[..., 0] - np.asarray(right.mask)).mean() < 1
        assert (np.array(found[3]) == right.index.flatten().numpy()).mean() > 0.98  # half precision decides near ties


@pytest.mark.parametrize("size", [(150, 100), (50, 71), (64, 64), (9, 200)])
def test_pictures_of_any_size_are_put_on_the_square_as_translate_does(page: Page, site: Path, size) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    page.add_script_tag(path=site / "_static" / "match.js")
    for channels, image in ((3, Image.fromarray(noise)), (1, Image.fromarray(noise).convert("L"))):
        rgba = Image.fromarray(noise).convert("RGBA")
        found = page.evaluate(
            "([data, width, height, n]) => picture.onSquare({ data, width, height }, 64, n).map((plane) => [...plane])",
            [list(rgba.tobytes()), *size, channels],
        )
        right = np.atleast_3d(np.asarray(on_square(image, 64))).transpose(2, 0, 1)
        assert np.abs(np.array(found).reshape(right.shape) - right).max() <= 1


def test_a_reader_draws_points_and_takes_back(live: Page, site: Path) -> None:
    outside = []
    live.on("request", lambda request: outside.append(request.url))
    output = live.locator("[data-picture=image] canvas").first

    def seen() -> str:
        return output.evaluate("canvas => canvas.toDataURL()")

    before = seen()
    live.click("#live-clear")
    live.locator("[data-picture=x] canvas").first.scroll_into_view_if_needed()
    box = live.locator("[data-picture=x] canvas").first.bounding_box()
    live.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    live.mouse.down()
    for place in ((0.7, 0.3), (0.7, 0.7), (0.3, 0.7), (0.3, 0.3)):
        live.mouse.move(box["x"] + place[0] * box["width"], box["y"] + place[1] * box["height"], steps=4)
    live.mouse.up()
    live.wait_for_function(
        "before => document.querySelector('[data-picture=image] canvas').toDataURL() !== before", arg=before
    )
    live.locator("[data-picture=w] canvas").first.focus()
    live.keyboard.press("ArrowDown")
    words = live.inner_text("#live-match")
    assert "the colours come from row" in words and "cosine 0." in words and "(5) row" in words
    live.fill("#live-random", "100")
    live.click("#live-undo")
    live.click("#live-undo")
    live.fill("#live-random", "0")
    live.wait_for_function(
        "before => document.querySelector('[data-picture=image] canvas').toDataURL() === before", arg=before
    )
    assert not [url for url in outside if not url.startswith(("blob:", "data:"))]


def test_every_control_has_a_name_and_no_more_is_loaded_than_is_allowed(live: Page, site: Path) -> None:
    unnamed = live.locator("#live :is(input, select, button, canvas[tabindex])").evaluate_all(
        "all => all.filter(each => !(each.labels?.length || each.textContent.trim() || each.getAttribute('aria-label')"
        " || each.querySelector?.('img[alt]'))).map(each => each.outerHTML)"
    )
    assert not unnamed
    assert sum(file.stat().st_size for file in (site / "_static").rglob("*.*") if file.name != "gallery.png") < LIMIT


def test_it_runs_from_a_server(page: Page, site: Path) -> None:
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=site)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{server.server_port}/live.html")
        expect(page.locator("#live-state")).to_contain_text("Coloured in", timeout=120_000)
        server.shutdown()


@pytest.mark.parametrize("lacking", ["WebAssembly", "DecompressionStream"])
def test_an_old_browser_is_told(page: Page, site: Path, lacking: str) -> None:
    page.add_init_script(f"delete window.{lacking}")
    page.goto((site / "live.html").as_uri())
    expect(page.locator("#live-state")).to_contain_text("The network does not run here: this browser")
    expect(page.locator(".live-pictures")).to_be_hidden()


def test_without_javascript_or_runtime_the_page_says_so(browser, site: Path, tmp_path: Path) -> None:
    shutil.copytree(site, tmp_path / "site", ignore=shutil.ignore_patterns("*_?.js"))
    (tmp_path / "site/_static/live/manifest.js").write_text(f"live.manifest({json.dumps({'missing': 'no npm'})});")
    for switched_on, words in ((True, "does not run here: no npm"), (False, "needs JavaScript")):
        context = browser.new_context(java_script_enabled=switched_on)
        page = context.new_page()
        page.goto((tmp_path / "site/live.html").as_uri())
        expect(page.get_by_text(words)).to_be_visible()
        context.close()


def test_the_runtime_is_the_one_that_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_, **__):
        raise subprocess.CalledProcessError(1, "npm")

    monkeypatch.setattr("live.npm", offline)
    with pytest.raises(InputError, match="npm could not fetch"):
        runtime(tmp_path)
    archive = tmp_path / "onnxruntime-web-1.18.0.tgz"
    archive.write_bytes(b"another package")
    with pytest.raises(InputError, match="not the one that was tried"):
        runtime(tmp_path)
    assert not archive.exists()


def test_scripts_hold_the_files_in_parts() -> None:
    content = np.random.default_rng(0).bytes(PART)
    found = scripts({"network": content})
    assert [*found] == ["network_0.js", "network_1.js"]
    text = "".join(part.split('"')[3] for part in found.values())
    assert gzip.decompress(base64.b64decode(text)) == content
