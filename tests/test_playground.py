"""docs/playground.html, driven in a browser: its numbers are the package's."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from ctc_tutorial import beam_search_decode, ctc_loss, forward_backward, greedy_decode

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

PAGE = Path(__file__).parents[1] / "docs" / "playground.html"
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH"),
]
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture(scope="module")
def page():
    with sync_api.sync_playwright() as playwright:
        # Without its sandbox, as in containers one is root; the page is our own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.errors, page.requests = [], []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda message: page.errors.append(message.text))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(PAGE.as_uri())
        yield page
        browser.close()
        assert not page.errors
        assert page.requests == [PAGE.as_uri()]  # one file, no network


@pytest.fixture
def toy(page):
    """The page as it opens."""
    page.reload()
    page.requests.pop()
    return page


def state(page):
    return page.evaluate("ctcPlayground.state()")


def log(probabilities):
    with np.errstate(divide="ignore"):
        return np.log(probabilities)


def check(shown, width):
    """Whatever the page shows, computed once more by the package from its probabilities."""
    logits = log(shown["probabilities"])
    np.testing.assert_allclose(np.exp(logits).sum(axis=1), 1, **CLOSE)
    frames, letters = [len(logits)], shown["letters"]
    ids = np.array([letters.index(c) for c in shown["text"]], int)
    if np.isinf(shown["loss"]):
        assert shown["gradient"] is None and shown["posteriors"] is None
        with pytest.raises(ValueError, match=r"probability 0|these ids need"):
            forward_backward(logits, ids)
    else:
        lattice = forward_backward(logits, ids)
        np.testing.assert_allclose(shown["loss"], lattice.loss, **CLOSE)
        np.testing.assert_allclose(shown["gradient"], lattice.gradient, **CLOSE)
        np.testing.assert_allclose(shown["posteriors"], lattice.posteriors, **CLOSE)
        np.testing.assert_allclose(shown["logAlpha"], lattice.log_alpha, **CLOSE)
        np.testing.assert_allclose(shown["logBeta"], lattice.log_beta, **CLOSE)

    def spell(ids):
        return "".join(letters[i] for i in ids)

    assert shown["greedy"] == spell(greedy_decode(logits[None], frames)[0])
    for t, beam in enumerate(shown["beams"]):
        found = beam_search_decode(logits[None, : t + 1], [t + 1], width, top_paths=width)[0]
        expected = {spell(h.ids): h.log_probability for h in found}
        assert {entry["text"] for entry in beam} == set(expected)
        of_page = [entry["logProbability"] for entry in beam]
        assert of_page == sorted(of_page, reverse=True)
        np.testing.assert_allclose(of_page, [expected[e["text"]] for e in beam], **CLOSE)
    if shown["texts"] is not None:
        np.testing.assert_allclose(sum(shown["texts"].values()), 1, **CLOSE)
        likelihood = shown["texts"].get(shown["text"], 0.0)
        np.testing.assert_allclose(likelihood, np.exp(-shown["loss"]), **CLOSE)


def test_the_toy_is_as_worked_by_hand(toy):
    shown = state(toy)
    assert shown["letters"] == "ab" and shown["probabilities"] == [[0.4, 0, 0.6]] * 2
    assert shown["greedy"] == "" and shown["beams"][-1][0]["text"] == "a"
    np.testing.assert_allclose([shown["texts"]["a"], shown["texts"][""]], [0.64, 0.36], **CLOSE)
    np.testing.assert_allclose(shown["loss"], -np.log(0.64), **CLOSE)
    assert "0.640" in toy.inner_text("#result") and "0.446" in toy.inner_text("#result")
    check(shown, width=4)


@pytest.mark.parametrize("seed", range(30))
def test_random_networks(page, seed):
    rng = np.random.default_rng(seed)
    frames, classes = int(rng.integers(1, 13)), int(rng.integers(2, 7))
    logits = rng.normal(scale=3, size=(frames, classes))
    logits[:, 0] = np.where(rng.random(frames) < 0.3, -np.inf, logits[:, 0])  # some zeros
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    letters = "abcde"[: classes - 1]
    text = "".join(rng.choice(list(letters), rng.integers(0, min(frames, 6) + 1)))
    width = int(rng.choice([1, 2, 4, 8]))
    shown = {"letters": letters, "text": text, "probabilities": probabilities.tolist()}
    page.evaluate("shown => ctcPlayground.set(shown)", {**shown, "width": width})
    check(state(page), width)


@pytest.mark.parametrize("example", ["bee", "cat"])
def test_examples_show_where_greedy_and_beam_search_differ(toy, example):
    toy.select_option("#example", example)
    shown = state(toy)
    check(shown, width=4)
    assert shown["text"] == example
    best = max(shown["texts"], key=shown["texts"].get)
    assert best == shown["beams"][-1][0]["text"]
    # TensorFlow computes in float32.
    ids = np.array([[shown["letters"].index(c) for c in example]])
    logits = log(shown["probabilities"])[None].astype(np.float32)
    loss = ctc_loss(logits, ids, [logits.shape[1]], [len(example)])
    np.testing.assert_allclose(float(loss[0]), shown["loss"], rtol=1e-5)


def test_the_gradient_is_the_one_that_models_train_with(toy):
    import tensorflow as tf

    toy.select_option("#example", "bee")
    shown = state(toy)
    logits = tf.Variable(log(shown["probabilities"])[None].astype(np.float32))
    with tf.GradientTape() as tape:
        loss = ctc_loss(logits, [[0, 1, 1]], [6], [3])
    gradient = tape.gradient(loss, logits)[0]
    np.testing.assert_allclose(gradient, shown["gradient"], atol=1e-6)


def bar(page, frame, name):
    return page.get_by_role("slider", name=f"frame {frame}, {name}", exact=True)


def test_a_bar_is_dragged(toy):
    box = bar(toy, 1, "b").locator(".frame").bounding_box()
    x = box["x"] + box["width"] / 2
    toy.mouse.move(x, box["y"] + box["height"] - 1)
    toy.mouse.down()
    toy.mouse.move(x, box["y"] + box["height"] / 2, steps=5)
    toy.mouse.up()
    shown = state(toy)
    np.testing.assert_allclose(shown["probabilities"][0], [0.2, 0.5, 0.3], atol=0.02)
    assert shown["probabilities"][1] == [0.4, 0, 0.6]
    toy.mouse.move(x, box["y"])  # the button is up
    assert state(toy)["probabilities"] == shown["probabilities"]
    check(shown, width=4)


def test_a_bar_is_moved_by_keys(toy):
    bar(toy, 2, "a").focus()
    for key in ("ArrowUp", "ArrowUp", "PageDown"):
        toy.keyboard.press(key)
    np.testing.assert_allclose(state(toy)["probabilities"][1], [0.32, 0, 0.68], **CLOSE)
    assert bar(toy, 2, "a").get_attribute("aria-valuenow") == "0.320"
    toy.keyboard.press("End")  # alone: the others have nothing left, and share what comes back
    assert state(toy)["probabilities"][1] == [1, 0, 0]
    toy.keyboard.press("ArrowDown")
    np.testing.assert_allclose(state(toy)["probabilities"][1], [0.99, 0.005, 0.005], **CLOSE)
    check(state(toy), width=4)


def test_a_text_is_typed(toy):
    toy.fill("#text", "ab")
    shown = state(toy)
    assert shown["text"] == "ab" and shown["loss"] == np.inf  # p(b) is 0
    check(shown, width=4)
    toy.fill("#text", "ac")  # a new class
    shown = state(toy)
    assert shown["letters"] == "abc"
    np.testing.assert_allclose(shown["probabilities"][0], [0.36, 0, 0.1, 0.54], **CLOSE)
    check(shown, width=4)
    toy.fill("#text", "aa")
    check(state(toy), width=4)
    assert "needs 3 frames" in toy.inner_text("#loss-note")
    toy.get_by_role("button", name="One frame more").click()
    shown = state(toy)
    assert len(shown["probabilities"]) == 3 and np.isfinite(shown["loss"])
    check(shown, width=4)
    toy.fill("#text", "a?")
    assert state(toy)["text"] == "aa" and "letters a to z" in toy.inner_text("#message")


def test_gradient_descent_lowers_the_loss(toy):
    losses = []
    for _ in range(5):
        losses.append(state(toy)["loss"])
        toy.click("#learn")
    assert np.all(np.diff(losses) < -0.01)
    check(state(toy), width=4)


def test_frame_by_frame(toy):
    toy.select_option("#example", "cat")
    pictures = set()
    for frame in range(1, 9):
        toy.locator("#frame").fill(str(frame))
        state(toy)
        assert toy.inner_text("#frame-text") == f"frame {frame} of 8"
        pictures.add(tuple(toy.inner_html(f"#{strip}") for strip in ("greedy", "beam")))
    assert len(pictures) == 8
    for mode in ("forward", "backward", "together"):
        toy.get_by_text(mode, exact=True).click()
        state(toy)
        pictures.add(toy.inner_html("#lattice"))
    assert len(pictures) == 11


def test_paths_collapse(toy):
    path = toy.locator(".target .path").first
    assert path.get_attribute("aria-label") == "path a blank, probability .24"
    path.hover()
    assert toy.locator("#lattice polyline").count() == 1
    for stage, letters in (("merge repeats", ["a–", "–a", "a"]), ("drop blanks", ["a", "a", "a"])):
        toy.get_by_text(stage, exact=True).click()
        toy.wait_for_timeout(900)  # the tiles move
        shown = toy.evaluate(
            """() => [...document.querySelectorAll(".target .path")].map((path) =>
              [...path.querySelectorAll("i")].filter((i) => i.getBoundingClientRect().width > 1)
              .map((i) => i.textContent).join(""))"""
        )
        assert shown == letters


def test_every_control_has_a_name(toy):
    unnamed = toy.evaluate(
        """() => [...document.querySelectorAll("button, input, select, svg, [role=slider]")]
          .filter((e) => !e.labels?.length && !e.getAttribute("aria-label"))
          .filter((e) => e.tagName !== "BUTTON" || !e.textContent.trim())
          .map((e) => e.outerHTML)"""
    )
    assert not unnamed
