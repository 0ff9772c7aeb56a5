"""Every fault that `find_faults` knows, planted; and healthy batches, where it must keep silent."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import ctc_tutorial as ctc

CHARACTERS = "abcdefgh"
TEXTS = ["abacade", "bcdeffh", "gahe", "hgfedcba", "cabbage", "deaf", "faced"]
ALPHABET = ctc.Alphabet(CHARACTERS)
IDS = [ALPHABET.encode(text) for text in TEXTS]


def emissions(rows, num_classes=9, blank=8, height=6.0, seed=0):
    """Features and logits that say each id for two frames, then the blank for one."""
    rng = np.random.default_rng(seed)
    paths = [
        np.stack([ids, ids, np.full(len(ids), blank)], 1).ravel().astype(int)
        for ids in map(np.array, rows)
    ]
    features = [rng.normal(size=(len(path), 5)) for path in paths]
    batch = ctc.pad_batch(features, rows)
    logits = rng.normal(size=(*batch["features"].shape[:2], num_classes))
    for row, path in zip(logits, paths, strict=True):
        row[range(len(path)), path] += height
    return batch, logits, batch["feature_length"]


def faults(batch, logits=None, logit_length=None, **others):
    return ctc.find_faults(**batch, logits=logits, logit_length=logit_length, **others)


def only(found):
    assert len(found) == 1, found
    return found[0]


def test_softmax_twice():
    batch, logits, length = emissions(IDS)
    assert only(faults(batch, tf.nn.softmax(logits), length)).startswith("Softmax is applied twice")
    assert faults(batch, tf.nn.log_softmax(logits), length) == []  # the loss takes these


def test_blank_mismatch():
    rows_from_1 = [ids + 1 for ids in IDS]
    _, logits, length = emissions(rows_from_1, blank=0)
    batch = ctc.pad_batch([np.random.default_rng(0).normal(size=(n, 5)) for n in length], IDS)
    assert "blank seems to be class 0" in only(faults(batch, logits, length))
    # With labels from 1 as well, as Keras 3 has them.
    batch["labels"] = ctc.sparse_labels(rows_from_1)
    labels, output = faults(batch, logits, length)
    assert labels.startswith("Labels are shifted by one") and output.startswith("Blank mismatch")
    # A model that only says class 0.
    batch["labels"] = ctc.sparse_labels(IDS)
    logits[..., 0] += 20
    assert "blank seems to be class 0" in only(faults(batch, logits, length))


def test_lengths_before_pooling():
    batch, logits, length = emissions(IDS)
    pooled = logits[:, ::2]  # [B, T/2, C]
    assert faults(batch, pooled, length)[0].startswith("Lengths are from before pooling")
    # All of the utterances with lengths that happen to fit, but are those of the features.
    short = {**batch, "feature_length": length // 3}
    assert faults(short, pooled, length // 3)[0].startswith("Lengths are from before pooling")


def test_padded_widths():
    batch, logits, length = emissions(IDS)
    frames = batch["features"].shape[1]
    full = np.full_like(length, frames)
    found = only(faults({**batch, "feature_length": full}))
    assert found.startswith(f"Padded widths are given as lengths: every feature_length is {frames}")
    assert "every logit_length" in only(faults(batch, logits, full))
    similar = ctc.pad_batch([np.random.default_rng(0).normal(size=(n, 5)) for n in (100, 101, 103)])
    similar["labels"] = ctc.sparse_labels(IDS[:3])
    pooled = np.random.default_rng(1).normal(size=(3, 26, 9))  # all right: ceil(n / 4)
    assert not [f for f in faults(similar, pooled, np.full(3, 26)) if "widths" in f]
    dense = ctc.dense_labels(batch)
    dense = {name: np.array(values) for name, values in dense.items()}
    assert faults(dense) == []
    dense["label_length"] = np.full_like(length, dense["labels"].shape[1])
    assert "ends in 4 times id 0" in faults(dense)[0]
    del dense["label_length"]
    assert faults(dense)[0].startswith("Padded widths are given as label lengths")


def test_infeasible_utterances():
    batch, _, _ = emissions(IDS)
    batch["feature_length"] = np.array([6, 7, 12, 24, 21, 12, 15], np.int32)
    found = faults(batch)
    assert "can't align utterance 0, 1: 6 frames where 7 are needed" in only(found)


def test_ids_that_are_no_classes():
    batch, _, _ = emissions([[0, 1, 9], [3, 4]], num_classes=10)
    assert "no classes: ids go from 0 to 9" in only(faults(batch, characters=CHARACTERS))


def test_labels_shifted_by_one():
    up = [ids + 1 for ids in IDS]
    batch, logits, length = emissions(up)
    assert "shifted by one: ids go from 1 to 8" in only(faults(batch, characters=CHARACTERS))
    # Against the texts, where no id leaves the range; and against what a model reads.
    batch, logits, length = emissions(IDS[:1])
    batch["labels"] = ctc.sparse_labels(up[:1])
    found = only(faults(batch, characters=CHARACTERS, texts=TEXTS[:1]))
    assert "shifted by one: they are +1" in found
    assert "shifted by one: they are -1" in only(faults(batch, logits, length))


def test_vocabulary_order():
    other = ctc.Alphabet("hcabdgef")
    batch, logits, length = emissions([other.encode(text) for text in TEXTS])
    found = only(faults(batch, characters=CHARACTERS, texts=TEXTS))
    assert "another order: ids 0 for 7, 1 for 2, 2 for 0" in found
    batch["labels"] = ctc.sparse_labels(IDS)
    assert "another order" in only(faults(batch, logits, length))


def test_labels_that_are_not_the_texts():
    batch, _, _ = emissions(IDS)
    assert "not the texts" in only(faults(batch, characters=CHARACTERS, texts=["hh", *TEXTS[1:]]))


@pytest.mark.parametrize("order", [[1, 0, 2, 3, 4, 5, 6], [3, 0, 1, 2, 6, 4, 5]])
def test_texts_mixed_up(order):
    batch, logits, length = emissions(IDS)
    mixed = [IDS[i] for i in order]
    batch["feature_length"] = np.full_like(length, length.max())  # or some are infeasible, too
    batch["features"] = np.random.default_rng(0).normal(size=batch["features"].shape)
    batch["labels"] = ctc.sparse_labels(mixed)
    found = only(faults(batch, characters=CHARACTERS, texts=TEXTS))
    assert "mixed up between utterances 0, 1" in found and f"has the text of {order[0]}." in found
    logits[1, -1, :] = 0  # a mistake of the model's
    assert any("mixed up between" in text for text in faults(batch, logits, length))


def test_features_that_say_nothing():
    batch, logits, length = emissions(IDS)
    batch["features"][2, 1, 3] = np.nan
    batch["features"][4, :] = 0.5
    nan, constant = faults(batch)
    assert nan == "Features hold NaN or infinity: utterance 2."
    assert constant == "Features are constant, all frames alike: utterance 4."
    batch, logits, length = emissions(IDS)
    batch["features"][2, length[2] :] = np.nan  # in the padding
    assert faults(batch) == []
    logits[0, 0, 0] = np.nan
    assert only(faults(batch, logits, length)).startswith("Logits hold NaN")


def plateau(share, wobble=0.3):
    """Only blanks; all labels alike have `share` of a frame, give or take."""
    batch, logits, length = emissions(IDS, height=0)
    log = np.log([share / 8] * 8 + [1 - share])
    return batch, log + wobble * logits / 6, length


def test_plateaus():
    # 45 labels on 135 frames: a settled bias gives them a third of the weight.
    assert only(faults(*plateau(1 / 3))).startswith("Only blanks, as usual early in a training")
    assert "but not later" in only(faults(*plateau(0.01)))
    found = only(faults(*plateau(0.01), steps=400))
    assert "not as usual after 400 steps" in found and "such as empty ones" in found
    assert "as usual early" in only(faults(*plateau(0.01), steps=40))
    assert "as usual early" in only(faults(*plateau(1 / 3), steps=400))
    assert "belong to their utterances?" in only(faults(*plateau(1 / 3), steps=4000))
    assert "dead layer" in only(faults(*plateau(1 / 3, wobble=0.0)))


@pytest.mark.training
@pytest.mark.parametrize("empty", [False, True])
def test_plateaus_of_real_trainings(empty, training_seed):
    """On true labels each plateau is as usual; on empty ones it is not, once 300 steps are over."""
    batch, _, _ = emissions(IDS, seed=training_seed)
    given = ctc.sparse_labels([[]] * len(IDS)) if empty else batch["labels"]
    model, predict_model = ctc.build_models(ctc.lstm_encoder, 5, 9, seed=training_seed, units=8)
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9, global_clipnorm=5.0))
    steps, said = 0, {}
    for more in (2, 3, 15, 40, 260):
        model.fit(ctc.repeat_batch({**batch, "labels": given}), steps_per_epoch=more, verbose=0)
        steps += more
        said[steps] = " ".join(ctc.find_faults(**batch, model=predict_model, steps=steps))
    unusual = [n for n, text in said.items() if "not as usual" in text]
    assert unusual == ([320] if empty else []), said


def lesson():
    utterances = ctc.make_lesson_pair(ctc.load_sentence())
    features = [ctc.mfcc_features(u.waveform, u.sample_rate) for u in utterances]
    return features, [u.text for u in utterances]


def test_wrong_counts():
    batch, _, _ = emissions(IDS)
    with pytest.raises(ValueError, match="B the same everywhere"):
        faults({**batch, "feature_length": [3]})


class TestHealthy:
    """Ten batches without a fault: data of all rooms, models untrained, trained and imitated."""

    def test_a_trained_model_by_imitation(self):
        batch, logits, length = emissions(IDS)
        assert faults(batch, logits, length, characters=CHARACTERS, texts=TEXTS) == []

    @pytest.mark.parametrize("height", [1.0, 2.0, 3.0])
    def test_poor_models(self, height):
        for seed in range(20):
            rng = np.random.default_rng(seed)
            rows = [rng.integers(0, 8, rng.integers(1, 9)) for _ in range(12)]
            assert faults(*emissions(rows, height=height, seed=seed)) == []

    def test_the_lesson_untrained(self):
        features, texts = lesson()
        alphabet = ctc.Alphabet()
        batch = ctc.pad_batch(features, [alphabet.encode(text) for text in texts])
        for seed in range(3):
            _, model = ctc.build_models(ctc.lstm_encoder, 13, 28, seed=seed)
            found = ctc.find_faults(
                **batch, model=model, characters=alphabet.characters, texts=texts
            )
            assert found == []

    @pytest.mark.training
    def test_the_lesson_trained(self, training_seed):
        features, texts = lesson()
        alphabet = ctc.Alphabet()
        batch = ctc.pad_batch(features, [alphabet.encode(text) for text in texts])
        train_model, model = ctc.build_models(ctc.lstm_encoder, 13, 28, seed=training_seed)
        train_model.compile(ctc.lesson_optimizer(400), steps_per_execution=50)
        train_model.fit(ctc.repeat_batch(batch), steps_per_epoch=400, verbose=0)
        assert ctc.find_faults(**batch, model=model) == []

    @pytest.mark.parametrize("digits", [(1, 5), (5, 5)])
    def test_handwriting_with_white_margins(self, digits):
        lines, labels = ctc.make_digit_strings(40, "train", 0, *digits)
        batch = ctc.pad_batch(lines, labels)
        _, model = ctc.build_models(ctc.image_encoder, lines[0].shape[1], 11, seed=0)
        assert ctc.find_faults(**batch, model=model) == []
        for line, ids in zip(lines, labels, strict=True):  # alone, nothing is padded
            assert ctc.find_faults(**ctc.pad_batch([line], [ids])) == []

    def test_voices(self):
        waveforms, texts, _ = ctc.make_spoken_numbers(20, "train", 0)
        alphabet = ctc.Alphabet()
        features = [ctc.mfcc_features(waveform, 8000) for waveform in waveforms]
        batch = ctc.pad_batch(features, [alphabet.encode(text) for text in texts])
        _, model = ctc.build_models(ctc.audio_encoder, 13, 28, seed=0)
        found = ctc.find_faults(**batch, model=model, characters=alphabet.characters, texts=texts)
        assert found == []

    def test_all_of_one_length(self):
        rng = np.random.default_rng(0)
        rows = rng.integers(0, 8, size=(30, 5))
        assert faults(*emissions(rows)) == []
        assert faults(*emissions(rows[:1])) == []

    def test_single_labels_misread(self):
        rng = np.random.default_rng(0)
        batch, _, length = emissions(rng.integers(0, 8, size=(16, 1)))
        _, logits, _ = emissions(rng.integers(0, 8, size=(16, 1)))
        assert faults(batch, logits, length) == []

    def test_empty_transcripts(self):
        assert faults(*emissions([[0, 1, 2, 0], [], [3, 3, 3, 4]])) == []
        silent = ctc.pad_batch([np.random.default_rng(0).normal(size=(9, 5))], [[]])
        _, logits, length = emissions([[8, 8, 8]])
        assert faults(silent, logits, length) == []

    def test_labels_of_every_form(self):
        batch, logits, length = emissions(IDS)
        for labels in (IDS, tf.ragged.constant([list(ids) for ids in IDS])):
            assert faults({**batch, "labels": labels}, logits, length) == []


def test_lengths_that_cannot_be_and_characters_that_do_not_fit():
    batch, logits, length = emissions(IDS)
    found = faults({**batch, "feature_length": 160 * length})
    assert found[0] == "feature_length goes from 1920 to 3840, but there are 24 frames."
    found = faults(batch, logits, length, characters=CHARACTERS + "i")
    assert "9 classes, but 9 characters and the blank are 10" in only(found)
    dense = {name: np.array(values) for name, values in ctc.dense_labels(batch).items()}
    found = faults({**dense, "label_length": dense["label_length"] + 1})
    assert found[0] == "label_length goes from 5 to 9, but there are 8 columns of labels."
    assert faults({**batch, "feature_length": length.astype(float)}) == []
    with pytest.raises(ValueError, match="feature_length must hold integers"):
        faults({**batch, "feature_length": length + 0.5})
