"""The page to play with, in a real browser: its numbers are those of `correlate`, its controls work."""

import base64
import io
import itertools
import json
import os
import re
import shutil

import numpy as np
import promise
import pytest
from PIL import Image

import cnnfilter as cf
from cnnfilter.core.boundary import BOUNDARIES
from cnnfilter.errors import ParameterError
from cnnfilter.kernels.kernelfile import parse
from cnnfilter.seeing.animation import animate, list_frames
from cnnfilter.seeing.numbers import shown
from cnnfilter.seeing.play import KERNELS, page
from cnnfilter.seeing.slide import Slide

PADDINGS = {"narrow": "narrow", "same": "same", "wide": "wide", "1,0,2,3": ((1, 0), (2, 3))}
STRIDES = {"1": 1, "2": 2, "3": 3, "1x2": (1, 2), "3x1": (3, 1)}
DILATIONS = {"1": 1, "2x1": (2, 1)}
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def missing(what):
    """Skip, but fail where everything is to be tried."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and CI=true asks for it")
    pytest.skip(what)


@pytest.fixture(scope="module")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("the page is tried with Playwright: pip install playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("the page is tried in Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.mark.parametrize(("value", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_browser_fails_where_all_is_to_be_tried(value, outcome, monkeypatch):
    monkeypatch.setenv("CI", value)
    with pytest.raises(outcome, match="the page is tried in Chromium"):
        missing("the page is tried in Chromium")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "play.html"
    path.write_text(page(), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def open_page(browser, address):
    """Open the page in a window of its own; what it complains about, or asks a network for, is a fault."""
    contexts, faults = [], []

    def open_it(fragment="", **settings):
        context = browser.new_context(**{"locale": "en-US", **settings})
        context.set_default_timeout(60_000)
        contexts.append(context)
        window = context.new_page()
        window.on("pageerror", lambda error: faults.append(str(error)))
        window.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        window.on("request", lambda asked: faults.append(asked.url) if asked.url.startswith("http") else None)
        window.goto(address + fragment)
        return window

    yield open_it
    for context in contexts:
        context.close()
    assert faults == []


def go(window, fragment):
    """Change the fragment and return the texts of the output and its shape."""
    return window.evaluate(
        """fragment => new Promise(resolve => {
          addEventListener("hashchange", () => resolve({
            cells: [...document.querySelectorAll("#output .cell")].map(cell => cell.textContent),
            shape: [geometry.rows.output, geometry.columns.output],
            message: document.getElementById("message").textContent,
          }), { once: true });
          location.hash = fragment;
        })""",
        fragment,
    )


def text_of(rows):
    return ";".join(
        ",".join(repr(value).removesuffix(".0") for value in row) for row in np.asarray(rows).tolist()
    )


def expected_texts(image, kernel, operation, **geometry):
    """Return what `correlate` or `convolve` gives, as people see it."""
    function = cf.convolve if operation == "convolve" else cf.correlate
    values = function(image, kernel, **geometry)
    magnitudes = cf.correlate(
        np.abs(image),
        np.abs(kernel.array if operation == "correlate" else kernel.rotated().array),
        **geometry,
    )
    return values.shape, [shown(*pair) for pair in zip(values.flat, magnitudes.flat, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("padding", PADDINGS)
def test_the_numbers_are_those_of_correlate(open_page, boundary, padding):
    """Random matrices and kernels, all strides, some with dilation, correlation and convolution."""
    random = np.random.default_rng(sorted(BOUNDARIES).index(boundary))
    window = open_page()
    for stride, operation in itertools.product(STRIDES, ("correlate", "convolve")):
        dilation = random.choice([*DILATIONS])
        image = random.integers(-99, 100, random.integers(5, 9, 2)) / 10
        divisor = int(random.integers(1, 17))
        kernel = cf.Kernel(random.integers(1, 10, ((3, 3), (2, 3))[random.integers(2)]), divisor)
        geometry = {
            "stride": STRIDES[stride], "padding": PADDINGS[padding], "dilation": DILATIONS[dilation],
            "boundary": boundary, "constant": -2.5 if boundary == "constant" else 0.0,
        }  # fmt: skip
        try:
            shape, texts = expected_texts(image, kernel, operation, **geometry)
        except ParameterError:  # renormalize, where no weight lies on the image
            shape, texts = None, None
        fragment = (
            f"m={text_of(image)}&k={text_of(kernel.weights)}&over={divisor}&op={operation}&stride={stride}"
            f"&padding={padding}&dilation={dilation}"
            f"&boundary={boundary}{':-2.5' if boundary == 'constant' else ''}"
        )
        found = go(window, fragment)
        if shape is None:
            assert boundary == "renormalize" and "—" in found["cells"], fragment
        else:
            assert found["shape"] == list(shape), fragment
            assert found["cells"] == texts, fragment


def test_numbers_are_written_as_in_the_terminal(open_page):
    random = np.random.default_rng(7)
    values = [
        *(random.standard_normal(3000) * 10.0 ** random.integers(-9, 13, 3000)).tolist(),
        *(random.integers(-(2**20), 2**20, 1000) / 4096).tolist(),
        *[0.0, 0.5, 248.0625, 99999.95, 100000.5, 1e15, 1e21, -1e-4, 9.999999e-5, 5.55e-17, 2.0**60],
    ]
    window = open_page()
    for scale in (0.0, 1.0):
        found = window.evaluate(
            "([values, scale]) => values.map(value => shown(value, scale))", [values, scale]
        )
        assert found == [shown(value, scale) for value in values]


def test_kernels_and_matrices_are_read_as_the_command_line_reads_them(open_page):
    window = open_page()
    for text in (
        "1 2 1; 2 4 2; 1 2 1 / 16",
        "1/4 1/2 1/4",
        "-1, 0, 1\n-2, 0, 2",
        ".5 1e2 -3.25 / -2",
        "1;2;",
        "１，２；－３、４　／　１６",
        "１。５ –2",
    ):
        read = window.evaluate("text => readMatrix(text, 9)", text)
        assert np.array_equal(read["rows"], parse(text).weights) and read["divisor"] == parse(text).divisor
    for text in ("1 2; 3", "1 x", "", "1 2 / 0", "1 / 2 / 3", "0x10", "1/0 1", "1 " * 10):
        refused = (
            "text => { try { readMatrix(text, 9) } catch (error) { return say(error.word, error.values) } }"
        )
        assert window.evaluate(refused, text), text


def test_every_kernel_offered_is_the_named_one(open_page):
    window = open_page()
    names = window.locator("#named option").evaluate_all("all => all.map(option => option.value)")
    assert names == ["", *KERNELS]
    for name in KERNELS:
        window.select_option("#named", name)
        kernel = cf.templates.named(name)
        found = window.evaluate("[state.kernel, state.divisor]")
        assert np.array_equal(found[0], kernel.weights) and found[1] == kernel.divisor
        assert window.input_value("#named") == name
        assert max(kernel.shape) <= 9


def output(window):
    return window.locator("#output .cell").all_text_contents()


def test_typing_changes_the_output_at_once_and_the_link(open_page):
    window = open_page("#m=1,2;3,4&k=1&padding=narrow&stride=1")
    assert output(window) == ["1", "2", "3", "4"]
    window.fill("#input .cell >> nth=3 >> input", "1/2")
    window.fill("#kernel input", "-2")
    assert output(window) == ["-2", "-4", "-6", "-1"]
    window.fill("#divisor", "4")
    assert output(window) == ["-0.5", "-1", "-1.5", "-0.25"]
    window.fill("#input-text", "5 6 7")
    window.fill("#kernel-text", "1 1 / 2")
    assert output(window) == ["5.5", "6.5"]
    link = window.url
    assert "m=5,6,7&k=1,1&over=2" in link
    again = open_page("#" + link.partition("#")[2])
    assert output(again) == ["5.5", "6.5"]


def test_what_cannot_be_read_is_said_with_its_place(open_page):
    window = open_page("#m=1,2;3,4&k=1")
    window.fill("#input .cell >> nth=3 >> input", "two")
    assert window.inner_text("#message") == "row 2, column 2: “two” is not a number"
    assert output(window) == ["1", "2", "3", "4"]
    window.fill("#input-text", "1 2; 3")
    assert window.inner_text("#message") == "row 2 has 1 numbers, and row 1 has 2"
    window.fill("#input-text", " ".join(["1"] * 17))
    assert "at most 16 × 16" in window.inner_text("#message")
    window.fill("#stride-rows", "0")
    assert window.inner_text("#message") == "Stride: use 1 to 8"
    window.fill("#stride-rows", "2")
    assert window.is_hidden("#message") and output(window) == ["1", "2"]
    window.select_option("#boundary", "constant")
    window.fill("#constant", "grey")
    assert window.inner_text("#message") == "the constant “grey” is not a number"
    window.fill("#constant", "－１")
    assert window.is_hidden("#message") and "boundary=constant:-1" in window.url
    window.select_option("#padding", "narrow")
    window.fill("#kernel-text", "1 1 1")
    assert "The kernel does not fit" in window.inner_text("#message") and output(window) == []


@pytest.mark.parametrize(
    "fragment",
    ["m=1,x", "stride=0", "stride=1x2x3", "boundary=sky", "padding=1,2", "k=1,2;3", "op=blur", "m=%E0%A4"],
)
def test_a_link_that_cannot_be_used_is_said(open_page, fragment):
    window = open_page("#" + fragment)
    assert window.is_visible("#message") and len(output(window)) == 49


def test_pointing_at_an_output_shows_its_products(open_page):
    window = open_page("#m=1,2,3;4,5,6;7,8,9&k=1,2;3,4&padding=narrow&op=convolve")
    window.hover("#output .cell >> nth=3")
    assert window.inner_text("#formula") == "4·5 + 3·6 + 2·8 + 1·9 = 63"
    taps = window.locator("#input .cell.tap input").evaluate_all("all => all.map(field => field.value)")
    assert taps == ["5", "6", "8", "9"]
    tables = window.locator("#tables td").all_text_contents()
    assert tables == ["5", "6", "8", "9", "4", "3", "2", "1", "20", "18", "16", "9"]
    window.hover("h1")
    assert "step 1 of 4" in window.inner_text("#where")


def test_pointing_at_an_input_shows_the_outputs_it_reaches(open_page):
    """As many as there are places where changing the pixel changes the result."""
    geometry = {"stride": (2, 1), "padding": "wide", "boundary": "reflect", "dilation": (1, 2)}
    window = open_page(
        "#m=1,2,3,4;5,6,7,8;9,1,2,3&k=1,2;3,4&stride=2x1&padding=wide&boundary=reflect&dilation=1x2"
    )
    image = np.array([[1, 2, 3, 4], [5, 6, 7, 8], [9, 1, 2, 3.0]])
    before = cf.correlate(image, [[1, 2], [3, 4]], **geometry)
    image[1, 2] += 1
    changed = (cf.correlate(image, [[1, 2], [3, 4]], **geometry) != before).ravel()
    window.hover('#input .cell[data-row="1"][data-column="2"]')
    reached = window.locator("#output .cell").evaluate_all(
        "all => all.map(c => c.classList.contains('reached'))"
    )
    assert reached == changed.tolist() and any(reached) and not all(reached)
    assert f"reaches {sum(reached)} outputs" in window.inner_text("#where")
    window.hover('#input .cell[data-row="-1"][data-column="0"]')
    assert "a copy of row 1, column 0" in window.inner_text("#where")


def test_keys_step_and_switch(open_page):
    window = open_page("#m=1,2,3;4,5,6&k=1,2&padding=narrow")

    def step():
        return window.evaluate("state.step")

    for key, expected in (
        ("ArrowRight", 1),
        ("ArrowDown", 3),
        ("ArrowLeft", 2),
        ("ArrowUp", 0),
        ("End", 3),
        ("Home", 0),
    ):
        window.keyboard.press(key)
        assert step() == expected, key
    assert output(window)[0] == "5"
    window.keyboard.press("c")
    assert output(window)[0] == "4" and window.is_visible("#lying-board")
    window.fill("#scrub", "2")
    assert step() == 2 and window.url.endswith("step=2")
    window.focus("#input .cell >> nth=0 >> input")
    window.keyboard.press("ArrowDown")
    window.keyboard.type("7")
    assert window.evaluate("state.matrix[1][0]") == 7 and step() == 2


def test_playing_fills_the_output_and_stops_at_the_end(open_page):
    window = open_page("#m=1,2,3,4&k=1&padding=narrow")
    window.fill("#speed", "10")
    window.keyboard.press("Space")
    assert window.locator("#output .later").count() > 0 or window.evaluate("state.step") == 3
    window.wait_for_function("state.step === 3 && timer === null")
    assert window.locator("#output .later").count() == 0


def test_chinese_english_light_and_dark(open_page):
    window = open_page(locale="zh-CN", color_scheme="dark")
    assert window.title() == "动手玩卷积" and window.inner_text("#language") == "English"
    dark = window.evaluate("getComputedStyle(document.body).backgroundColor")
    window.click("#language")
    assert window.title() == "Convolution to play with"
    window.click("#theme")
    light = window.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    words = json.loads(window.evaluate("JSON.stringify(WORDS)"))
    assert words["en"].keys() == words["zh"].keys()
    for word, text in words["en"].items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", words["zh"][word])), word
        assert text.count("|") == words["zh"][word].count("|")
    used = set(re.findall(r'(?:data-(?:word|title)=|say\(|Mistake\()"(\w+)"', page()))
    assert used <= words["en"].keys()


def test_a_phone_needs_no_sideways_scrolling(open_page):
    window = open_page(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    go(window, "m=" + ";".join([",".join(["123.456"] * 16)] * 16))
    assert window.evaluate("document.documentElement.scrollWidth") == 360
    window.tap("#next")
    assert window.evaluate("state.step") == 1


def test_without_scripts_the_page_says_so(open_page):
    window = open_page(java_script_enabled=False)
    assert "switched off" in window.inner_text("body") and "JavaScript" in window.inner_text("[lang=zh]")
    assert window.is_hidden("#page")


def drop(window, content, name, kind):
    """Drop a file on the page, as from a folder."""
    transfer = window.evaluate_handle(
        """([bytes, name, type]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
          return transfer;
        }""",
        [list(content), name, kind],
    )
    window.dispatch_event("body", "drop", {"dataTransfer": transfer})


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "noise.png"
    pixels = np.random.default_rng(3).integers(0, 256, (40, 31, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path, pixels


def result(window):
    """Return the pixels of the result once it is there."""
    window.wait_for_function("document.getElementById('photo-size').textContent.includes('noise.png')")
    data = window.evaluate(
        """() => {
          const { width, height } = $("result");
          const pixels = $("result").getContext("2d").getImageData(0, 0, width, height).data;
          return [height, width, [...pixels]];
        }"""
    )
    return np.array(data[2], np.uint8).reshape(data[0], data[1], 4)[:, :, :3]


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_photograph_is_filtered_as_correlate_does(open_page, picture, boundary):
    path, pixels = picture
    weights, divisor = [[1, 2, 1], [2, 5, 2], [1, 2, 2]], 19
    window = open_page(f"#k=1,2,1;2,5,2;1,2,2&over=19&boundary={boundary}&stride=2x1&dilation=1x2")
    drop(window, path.read_bytes(), "noise.png", "image/png")
    geometry = {"stride": (2, 1), "dilation": (1, 2), "boundary": boundary}
    kernel = cf.Kernel(weights, divisor)
    expected = cf.correlate(pixels, kernel, dtype="uint8", **geometry)
    exact = cf.correlate(pixels.astype(np.float64), kernel, **geometry)
    tie = np.abs(exact - np.floor(exact) - 0.5) < promise.TIE
    found = result(window)
    assert np.array_equal(found[~tie], expected[~tie]) and tie.mean() < 0.05
    window.hover("#original", position={"x": 0, "y": 0})
    found = cf.arithmetic(pixels, kernel, (0, 0), **geometry)
    totals = window.locator("#photo-tables .total b").all_text_contents()
    assert totals == [shown(value) for value in found.sum]


@pytest.mark.parametrize("value_range", ["clip", "abs", "offset", "stretch"])
def test_ranges_of_a_photograph(open_page, picture, value_range):
    from cnnfilter.pixels import quantise

    path, pixels = picture
    window = open_page("#k=-1,0,1;-2,0,2;-1,0,1&boundary=reflect")
    window.set_input_files("#file", path)
    result(window)
    window.select_option("#range", value_range)
    sums = cf.correlate(pixels.astype(float), cf.templates.named("sobel-x"), boundary="reflect")
    expected, limited = quantise(sums, np.dtype(np.uint8), value_range)
    assert np.array_equal(result(window), expected)
    share = re.search(r"; (.*) % of the values", window.inner_text("#photo-size"))
    assert (share is None) == (limited == 0)


def test_large_photographs_are_scaled_down_and_it_is_said(open_page, tmp_path):
    Image.new("RGB", (1600, 900), (9, 8, 7)).save(tmp_path / "noise.png")
    window = open_page("#k=1")
    window.set_input_files("#file", tmp_path / "noise.png")
    window.wait_for_function("document.getElementById('photo-size').textContent.includes('noise.png')")
    width, height = window.evaluate("[$('result').width, $('result').height]")
    assert 990_000 < width * height <= 1_000_000
    corner = "[...$('result').getContext('2d').getImageData(0, 0, 1, 1).data]"
    assert window.evaluate(corner) == [9, 8, 7, 255]
    assert "scaled down from 1600 × 900" in window.inner_text("#photo-size")


def test_a_picture_that_cannot_be_read_is_said(open_page):
    window = open_page()
    drop(window, b"this is no picture", "letter.png", "image/png")
    window.wait_for_selector("#photo-message:visible")
    assert window.inner_text("#photo-message") == "letter.png: this browser cannot read it as a picture"
    assert window.is_hidden("#photo-work")


def test_an_animation_can_be_stepped_through(browser, tmp_path):
    slide = Slide.of_kernel(np.arange(49.0).reshape(7, 7), [[1, 2], [3, 4]])
    animate(slide, tmp_path / "slide.html")
    window = browser.new_page()
    window.set_default_timeout(60_000)
    window.goto((tmp_path / "slide.html").as_uri())
    window.wait_for_function("shown >= 0")
    drawn = [np.asarray(frame.image, np.int16) for frame in list_frames(slide, list(range(49)))]
    for number in (3, 40, 30, 49):  # on, on over a whole one, back, and the last
        window.fill("#scrub", str(number))
        data = window.evaluate("canvas.toDataURL()").partition(",")[2]
        with Image.open(io.BytesIO(base64.b64decode(data))) as seen:
            distance = np.abs(np.asarray(seen.convert("RGB"), np.int16) - drawn[number])
        assert (distance.max(axis=2) > 24).mean() < 1e-3
    window.keyboard.press("ArrowLeft")
    window.click("#back")
    assert window.evaluate("shown") in (47, 48)
    window.close()


def test_nothing_outside_is_referred_to():
    """Also where no browser is at hand."""
    text = page()
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:)""", text)
    assert not re.search(r"https?://|@import|\bimport\(|fetch\(|XMLHttpRequest|WebSocket|url\(", text)
    assert "<script src" not in text and "<noscript>" in text
