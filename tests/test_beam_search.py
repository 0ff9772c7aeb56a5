"""Beam search against brute force over all paths and against TensorFlow's op."""

import itertools
import weakref
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from brute_force import all_texts, softmax

from ctc_tutorial.beam_search import beam_search_decode
from ctc_tutorial.hotwords import hot_words

TOY = np.log([[[0.4, 1.0, 0.6]] * 2])
TOY[..., 1] = -np.inf


def random_logits(*shape, scale=1.0):
    return np.random.default_rng(shape).normal(0, scale, shape)


def of_prefix(score):
    """A score_fn whose state is the ids so far, from score(ids, next_id)."""
    return lambda ids, next_id: (score(ids, next_id), (*ids, next_id))


def check(hypotheses, ranking):
    """The hypotheses are the head of a ranking of (score, log probability, text)."""
    ranking = sorted(ranking, reverse=True)[: len(hypotheses)]
    assert [tuple(h.ids) for h in hypotheses] == [text for _, _, text in ranking]
    np.testing.assert_allclose([h.score for h in hypotheses], [r[0] for r in ranking])
    np.testing.assert_allclose([h.log_probability for h in hypotheses], [r[1] for r in ranking])


@pytest.mark.parametrize(
    ("frames", "classes", "blank"), [(1, 3, -1), (5, 2, -1), (6, 3, -1), (6, 3, 0), (5, 4, 1)]
)
@pytest.mark.parametrize("zeros", [0, 3])
def test_wide_beam_agrees_with_brute_force(frames, classes, blank, zeros):
    logits = random_logits(1, frames, classes, scale=2.0)
    logits.reshape(-1)[1 : 1 + 2 * zeros : 2] = -np.inf
    texts = all_texts(logits[0], blank)
    (hypotheses,) = beam_search_decode(logits, [frames], 1000, 1000, blank_index=blank)
    assert len(hypotheses) == len(texts) > 1
    check(hypotheses, [(np.log(p), np.log(p), text) for text, p in texts.items()])


def test_toy_worked_by_hand():
    (hypotheses,) = beam_search_decode(TOY, [2], top_paths=25)
    assert [h.ids.tolist() for h in hypotheses] == [[0], []]  # "b" is impossible
    np.testing.assert_allclose([h.log_probability for h in hypotheses], np.log([0.64, 0.36]))
    assert hypotheses[0].ids.dtype == hypotheses[1].ids.dtype == np.int32


def textbook_search(log_probs, width, score_fn=lambda prefix, next_id: 0.0):
    """Hannun et al. 2014, algorithm 1, with dictionaries: (score, log probability, text)."""
    *_, blank = range(log_probs.shape[1])
    beam = {(): [0.0, -np.inf, 0.0]}  # ends in a blank, ends in its last label, added score
    for frame in log_probs:
        grown = {}
        for text, (in_blank, in_label, added) in beam.items():
            total = np.logaddexp(in_blank, in_label)
            arrivals = [(text, 0, total + frame[blank], added)]
            for k in range(blank):
                again = bool(text) and text[-1] == k
                if again:
                    arrivals.append((text, 1, in_label + frame[k], added))
                before = in_blank if again else total
                arrivals.append(((*text, k), 1, before + frame[k], added + score_fn(text, k)))
            for arrival, end, p, score in arrivals:
                entry = grown.setdefault(arrival, [-np.inf, -np.inf, score])
                entry[end] = np.logaddexp(entry[end], p)
        ranked = sorted(grown, key=lambda text: -np.logaddexp(*grown[text][:2]) - grown[text][2])
        beam = {text: grown[text] for text in ranked[:width]}
    return [
        (np.logaddexp(b, e) + added, np.logaddexp(b, e), t) for t, (b, e, added) in beam.items()
    ]


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
@pytest.mark.parametrize(("classes", "width"), [(6, 1), (3, 2), (6, 5), (20, 15)])
def test_prunes_as_the_textbook_does(scale, classes, width):
    logits = random_logits(1, 50, classes, scale=scale)
    log_probs, bias = np.log(softmax(logits[0])), random_logits(classes, classes)
    (hypotheses,) = beam_search_decode(logits, [50], width, width)
    check(hypotheses, textbook_search(log_probs, width))

    def hook(prefix, next_id):
        return 0.0 if next_id is None else bias[len(prefix) % classes, next_id]

    (hypotheses,) = beam_search_decode(logits, [50], width, width, of_prefix(hook))
    check(hypotheses, textbook_search(log_probs, width, hook))


def spiky_logits(batch, frames, classes):
    """Like a trained model's: blanks, and a clear label now and then."""
    rng = np.random.default_rng([batch, frames, classes])
    logits = rng.normal(size=(batch, frames, classes))
    labels = rng.integers(classes - 1, size=(batch, frames))
    spoken = np.where(rng.random((batch, frames)) < 0.25, labels, classes - 1)
    logits += 7 * np.eye(classes)[spoken]
    return logits.astype(np.float32)


@pytest.mark.parametrize(("classes", "width"), [(28, 25), (6, 4), (6, 1), (100, 10)])
def test_agrees_with_tensorflow(classes, width):
    # On flat logits TensorFlow's op may keep other prefixes: it does not grow one that leaves
    # the beam in the same frame. So the logits are clear here.
    logits, lengths = spiky_logits(3, 120, classes), np.array([120, 77, 1], np.int32)
    (texts,), log_probabilities = tf.nn.ctc_beam_search_decoder(
        logits.transpose(1, 0, 2), lengths, width
    )
    decoded = beam_search_decode(logits, lengths, width)
    for row, (hypothesis,) in enumerate(decoded):
        theirs = tf.sparse.to_dense(texts, default_value=-1).numpy()[row]
        np.testing.assert_array_equal(hypothesis.ids, theirs[theirs >= 0])
        theirs = float(log_probabilities[row, 0])
        assert hypothesis.log_probability == pytest.approx(theirs, rel=1e-3, abs=1e-5)
    assert decoded[0][0].ids.size > 10


def real_logits():
    """Of both utterances of the lesson, half-trained: scripts/make_test_logits.py made them."""
    saved = np.load(Path(__file__).parent / "data" / "logits.npz")
    return saved["logits"], saved["logit_length"]


def test_agrees_with_tensorflow_on_a_recording():
    logits, lengths = real_logits()
    # The two prune differently: a wide beam, so that neither loses much of a text's alignments.
    texts, theirs = tf.nn.ctc_beam_search_decoder(logits.transpose(1, 0, 2), lengths, 200, 2)
    # The third is there to tell whether the second one is clear: rounding may decide a tie.
    for row, hypotheses in enumerate(beam_search_decode(logits, lengths, 200, 3)):
        assert hypotheses[0].ids.size > 10
        scores = np.array([h.log_probability for h in hypotheses])
        np.testing.assert_allclose(scores[:2], theirs[row], atol=5e-3)
        for path, hypothesis in enumerate(hypotheses[:2]):
            text = tf.sparse.to_dense(texts[path], default_value=-1).numpy()[row]
            if np.abs(np.delete(scores, path) - scores[path]).min() > 0.02:
                np.testing.assert_array_equal(hypothesis.ids, text[text >= 0])


@pytest.mark.parametrize("width", [2, 50])
def test_loss_confirms_the_log_probability(width):
    logits = spiky_logits(1, 60, 12)
    (hypotheses,) = beam_search_decode(logits, [60], width, width)
    assert len({tuple(h.ids) for h in hypotheses}) == width
    best = hypotheses[0]
    loss = tf.nn.ctc_loss(best.ids[None], logits, [len(best.ids)], [60], False, None, -1)
    lost = -float(loss[0]) - best.log_probability  # alignments that fell off the beam
    assert -1e-4 < lost < (1e-2 if width == 50 else 1.0)


def test_length_zero_and_padding():
    logits = random_logits(2, 6, 3)
    expected = beam_search_decode(logits[:, :4], [4, 0], top_paths=3)
    logits[0, 4:] = np.nan
    empty, some = beam_search_decode(logits[::-1], [0, 4], top_paths=3)
    assert [(h.ids.size, h.log_probability, h.score) for h in empty] == [(0, 0.0, 0.0)]
    check(some, [(h.score, h.log_probability, tuple(h.ids)) for h in expected[0]])


def same(some, others):
    """Whether two lists of hypotheses are the same to the last bit."""
    pairs = itertools.zip_longest(some, others)
    return all(np.array_equal(a.ids, b.ids) and a[1:] == b[1:] for a, b in pairs)


@pytest.mark.parametrize("score_fn", [None, hot_words([[0, 1], [2]], 1.5)])
def test_neither_order_nor_padding_nor_layout_changes_a_bit(score_fn):
    logits = np.round(random_logits(5, 30, 6).astype(np.float32), 1)  # rounded: with ties
    logits[3] = logits[1]
    lengths = np.array([30, 17, 0, 17, 1])
    rows = beam_search_decode(logits, lengths, 7, 7, score_fn)
    assert len(rows[0]) == 7 and same(rows[1], rows[3])
    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 3, 1]):
        shuffled = beam_search_decode(logits[order], lengths[order], 7, 7, score_fn)
        assert all(same(row, rows[i]) for row, i in zip(shuffled, order, strict=True))
    time_major = np.ascontiguousarray(logits.swapaxes(0, 1)).swapaxes(0, 1)
    swapped = beam_search_decode(time_major, lengths, 7, 7, score_fn)
    assert all(map(same, swapped, rows))
    for i, length in enumerate(lengths):
        alone = beam_search_decode(logits[i : i + 1, :length], [length], 7, 7, score_fn)
        assert same(alone[0], rows[i])
    logits[lengths[:, None] <= np.arange(30)] = np.nan
    assert all(map(same, beam_search_decode(logits, lengths, 7, 7, score_fn), rows))


def test_language_model_with_an_end_changes_the_winner():
    logits = random_logits(1, 6, 4)
    # Row: the label before, or 3, the start of the text; column: the next one, or 3, its end.
    bigrams = np.log(softmax(random_logits(4, 4, scale=2.0)))
    calls = []

    def bigram(before, next_id):
        calls.append((before, next_id))
        return bigrams[before, 3 if next_id is None else next_id], next_id

    ranking, endless = [], []
    for text, p in all_texts(logits[0]).items():
        added = sum(bigrams[pair] for pair in itertools.pairwise((3, *text, 3)))
        ranking.append((np.log(p) + added, np.log(p), text))
        endless.append((np.log(p) + added - bigrams[(3, *text)[-1], 3], np.log(p), text))
    (hypotheses,) = beam_search_decode(logits, [6], 3000, 20, bigram, start_state=3)
    check(hypotheses, ranking)
    assert len({max(ranking)[2], max(endless)[2], max(ranking, key=lambda r: r[1])[2]}) == 3
    assert {c for _, c in calls} == {0, 1, 2, None}


def test_score_function_is_called_once_per_prefix_and_class_and_never_with_the_blank():
    calls = []

    def score_fn(ids, next_id):
        calls.append((ids, next_id))
        return 0.0, (*ids, next_id)

    (hypotheses,) = beam_search_decode(random_logits(1, 9, 4), [9], 5, 5, score_fn, blank_index=1)
    assert len(calls) == len(set(calls))
    assert {c for _, c in calls} == {0, 2, 3, None} and ((0, 2), 0) in calls
    assert {ids for ids, c in calls if c is None} == {tuple(h.ids) for h in hypotheses}


def test_no_frames_but_an_end():
    (hypotheses,) = beam_search_decode(TOY, [0], score_fn=lambda state, k: (-0.5, None))
    assert [(h.ids.size, h.log_probability, h.score) for h in hypotheses] == [(0, 0.0, -0.5)]


def test_lexicon_allows_its_words_only():
    letters, words = "abc ", ["cab", "ab", "b"]
    logits = random_logits(1, 7, 5, scale=3.0)
    logits[0, 3, 3] += 8.0  # a space in the middle

    def lexicon(word, next_id):
        if next_id is None or letters[next_id] == " ":
            return (0.0 if word in words else -np.inf), ""
        word += letters[next_id]
        return (0.0 if any(w.startswith(word) for w in words) else -np.inf), word

    texts = all_texts(logits[0])
    ranking = [(np.log(p), np.log(p), text) for text, p in texts.items()]
    spelled = {text: "".join(letters[k] for k in text) for text in texts}
    allowed = [r for r in ranking if all(word in words for word in spelled[r[2]].split(" "))]
    assert max(ranking)[2] != max(allowed)[2] and len(allowed) > 10
    assert any(" " in spelled[text] for _, _, text in allowed)
    (hypotheses,) = beam_search_decode(logits, [7], 3000, 3000, lexicon, start_state="")
    assert len(hypotheses) == len(allowed)
    check(hypotheses, allowed)
    (best,) = beam_search_decode(logits, [7], 25, 1, lexicon, start_state="")[0]
    assert tuple(best.ids) == max(allowed)[2]


def labels_in_hot_words(text, words, space_id=None):
    """How many labels of a text are part of a hot word: each place of each word, one by one."""
    counted = set()
    for word in words:
        for i in range(len(text) - len(word) + 1):
            stop = i + len(word)
            whole = i in (0, *(k + 1 for k, c in enumerate(text) if c == space_id))
            whole = whole and (stop == len(text) or text[stop] == space_id)
            if text[i:stop] == tuple(word) and (space_id is None or whole):
                counted.update(range(i, stop))
    return len(counted)


@pytest.mark.parametrize("space_id", [None, 2])
@pytest.mark.parametrize("bonus", [1.3, -0.7])
@pytest.mark.parametrize(
    "words",
    [
        [[0, 1]],
        [[0], [1, 0]],
        [[0, 0]],
        [[0, 1], [1, 0, 0], [0, 1, 0]],  # they overlap
        [[1], [0, 1, 0]],  # one inside another
        [[0, 2, 1], [1, 2, 0], [0]],  # with a space
        [[0, 1], [0, 1, 2, 1]],  # one begins the other
        [],
    ],
)
def test_hot_words_agree_with_brute_force(words, bonus, space_id):
    logits = random_logits(1, 8, 4)
    ranking = []
    for text, p in all_texts(logits[0]).items():
        added = bonus * labels_in_hot_words(text, words, space_id)
        ranking.append((np.log(p) + added, np.log(p), text))
    score_fn = hot_words(words, bonus, space_id)
    (hypotheses,) = beam_search_decode(logits, [8], 10_000, 10_000, score_fn)
    assert len(hypotheses) == len(ranking)
    check(hypotheses, ranking)


def test_hot_words_worked_by_hand():
    assert labels_in_hot_words((0, 1, 0, 1, 1), [[0, 1, 0], [1, 0, 1]]) == 4
    assert labels_in_hot_words((0, 1, 2, 1), [[1]], space_id=2) == 1
    score_fn, scores, state = hot_words([[0, 1, 0], np.array([3])], 2.0), [], ()
    for next_id in (0, 1, 1, 3, 0, 1, 0, 1, 0, None):
        score, state = score_fn(state, next_id)
        scores.append(score)
    assert scores == [2, 2, -4, 2, 2, 2, 2, 2, 2, 0]
    assert score_fn(score_fn((), 0)[1], None)[0] == -2  # broken off by the end


def test_a_hot_word_is_found_by_a_narrow_beam():
    path = [0, 1, 2, 3, 4]
    logits = 4.0 * np.eye(7)[[[0, 1, 5, 3, 4]]]
    logits[0, 2, 2] = 2.0  # a doubt: 5 is heard, 2 is what the hot word has
    assert beam_search_decode(logits, [5], 3)[0][0].ids.tolist() == [0, 1, 5, 3, 4]
    (best,) = beam_search_decode(logits, [5], 3, score_fn=hot_words([path], 1.0))[0]
    assert best.ids.tolist() == path
    assert best.score == pytest.approx(best.log_probability + 5.0)


@pytest.mark.parametrize("word", ["suit", [], np.zeros(0, int), [0.0, 1.0], 3, [[1, 2]]])
def test_hot_words_that_are_no_ids_are_refused(word):
    with pytest.raises(ValueError, match=r"hot word 1 is .*: give its ids, at least one"):
        hot_words([[0], word], 1.0)


@pytest.mark.parametrize("bonus", [np.nan, np.inf, -np.inf])
def test_a_bonus_that_is_not_finite_is_refused(bonus):
    with pytest.raises(ValueError, match=f"bonus {bonus} is not finite"):
        hot_words([[0]], bonus)


@pytest.mark.parametrize(("width", "paths"), [(25, 26), (25, 0), (0, 1)])
def test_top_paths_that_do_not_fit_into_the_beam_are_refused(width, paths):
    with pytest.raises(ValueError, match=f"top_paths {paths} must lie in 1 to {width}, the beam"):
        beam_search_decode(TOY, [2], width, paths)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_a_frame_without_probabilities_is_refused(value):
    logits = random_logits(2, 4, 3)
    logits[1, 2] = value
    with pytest.raises(ValueError, match=r"utterance 1: frame 2 holds \+inf or nothing above -inf"):
        beam_search_decode(logits, [4, 4])


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_a_score_that_is_no_log_score_is_refused(score):
    with pytest.raises(ValueError, match=rf"returned {score} for 0 after the ids \(\): return a"):
        beam_search_decode(TOY, [2], score_fn=lambda state, next_id: (score, state))
    with pytest.raises(ValueError, match=rf"returned {score} for None after the ids \(0,\): "):
        beam_search_decode(TOY, [2], score_fn=lambda state, k: (score if k is None else 0.0, state))


@pytest.mark.parametrize("answer", [0.0, None, (0.0,), [0.0, ()]])
def test_a_score_function_that_returns_no_pair_is_refused(answer):
    with pytest.raises(ValueError, match=r"score_fn returned .*: return \(log score, next state\)"):
        beam_search_decode(TOY, [2], score_fn=lambda state, next_id: answer)


@pytest.mark.parametrize("where", ["everywhere", "end"])
def test_a_score_function_that_forbids_every_text_is_named(where):
    def forbid_all(state, next_id):
        return (-np.inf if where == "everywhere" or next_id is None else 0.0), state

    with pytest.raises(ValueError, match="utterance 0: no text is possible: score_fn forbids"):
        beam_search_decode(TOY, [2], score_fn=forbid_all, blank_index=1)  # the blank is impossible


@pytest.mark.parametrize("option", [{"top_paths": 1.5}, {"beam_width": np.inf}, {"top_paths": "1"}])
def test_widths_that_are_no_integers_are_refused(option):
    with pytest.raises(ValueError, match=f"{next(iter(option))} is .*: give an integer"):
        beam_search_decode(np.zeros((1, 4, 3)), [4], **option)


@pytest.mark.parametrize(
    ("words", "bonus"),
    [(3, 1.0), ([3], 1.0), ([[[1], [2, 3]]], 1.0), ([[1]], "1"), ([[1]], np.nan)],
)
def test_hot_words_that_are_none_are_refused(words, bonus):
    with pytest.raises(ValueError, match=r"word|bonus"):
        hot_words(words, bonus)


def test_what_a_score_function_said_of_prefixes_that_are_gone_is_not_kept():
    """With thousands of classes it would fill the memory."""

    class State:
        pass

    alive, most = weakref.WeakSet(), 0

    def score_fn(state, next_id):
        nonlocal most
        state = State()
        alive.add(state)
        most = max(most, len(alive))
        return 0.0, state

    beam_search_decode(3 * random_logits(1, 60, 8), [60], 5, 1, score_fn)
    assert most <= 3 * 5 * 8  # those of a beam, of the one before it, and of the frame's own
