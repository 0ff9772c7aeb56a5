# CTC in Keras 0.2.0, https://github.com/owner/name, MIT licence, (c) 2026 the authors of CTC in Keras. Keep this line.
"""What is wrong with a CTC training, in plain sentences. Taught in notebook 14_error_clinic.

Copy mismatch.py, decoding.py and error_rates.py with this file; they all need NumPy only.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .decoding import greedy_decode
from .error_rates import label_error_rate
from .mismatch import explain_mismatch, named


def find_faults(
    features: ArrayLike,
    labels: Any,
    feature_length: ArrayLike,
    label_length: ArrayLike | None = None,
    model: Any = None,
    logits: Any = None,
    logit_length: ArrayLike | None = None,
    characters: str | None = None,
    texts: Sequence[str] | None = None,
    steps: int | None = None,
) -> list[str]:
    """Look for the usual faults in one batch, and in what a model makes of it.

    It says nothing of what it can't see: without a model, faults of the output; as long as the
    model reads nothing, whether the labels belong to their utterances.

    Args:
        features: [B, T, ...], padded at the end, as `pad_batch` gives them.
        labels: class ids, the blank being the last class: B sequences [L_i], a sparse tensor, or
            dense [B, L] with `label_length`.
        feature_length: frames of each utterance, [B].
        label_length: for dense labels, [B]; without it, all columns are taken for labels.
        model: a predict model as of `build_models`; or pass what yours gives as the next two.
        logits: what the loss gets, [B, T', C].
        logit_length: the frames of them that the loss is told of, [B]; by default `feature_length`.
        characters: those of classes 0, 1, ... in order.
        texts: the transcript of each utterance, to compare the labels with; needs `characters`.
        steps: updates that the model has had. Whether a plateau of blanks is as usual depends on
            it: the weight of the blank overshoots in the first 300, and few last for 3,000.

    Returns:
        A sentence for each fault, those of the data first; [] if none is seen.

    Raises:
        ValueError: features without [B, T, ...], lengths that are no integers, or another number of
            utterances anywhere.

    >>> features = np.random.default_rng(0).normal(size=(2, 5, 13))
    >>> find_faults(features, [[0, 1], [2]], feature_length=[5, 3], characters="abc")
    []
    >>> print(*find_faults(features, [[1, 2], [3]], feature_length=[5, 3], characters="abc"))
    Labels are shifted by one: ids go from 1 to 3, but the classes of labels are 0 to 2.
    """
    features, feature_length = np.asarray(features), _integers("feature_length", feature_length)
    rows = _rows(labels, label_length)
    if model is not None:
        outputs = model.predict({"features": features, "feature_length": feature_length}, verbose=0)
        logits, logit_length = outputs["logits"], outputs["logit_length"]
    given = logit_length is not None
    logit_length = _integers("logit_length", logit_length if given else feature_length)
    counts = [len(x) for x in (features, rows, feature_length, logit_length)]
    if features.ndim < 2 or len(set(counts)) > 1:
        raise ValueError(f"features must be [B, T, ...], and B the same everywhere, not {counts}")

    found = _no_such_lengths("feature_length", feature_length, "frames", features.shape[1])
    if label_length is not None and not hasattr(labels, "dense_shape"):
        columns = max(map(len, labels), default=0)
        found += _no_such_lengths("label_length", label_length, "columns of labels", columns)
    found += _bad_features(features, feature_length)
    found += _padded_frames(features, feature_length) + _padded_labels(rows)
    classes = len(characters) + 1 if characters else None
    if logits is not None:
        logits = np.asarray(logits.to_tensor() if hasattr(logits, "to_tensor") else logits)
        if classes and classes != logits.shape[-1]:
            found.append(
                f"Classes and characters differ: the logits have {logits.shape[-1]} classes, but "
                f"{classes - 1} characters and the blank are {classes}."
            )
        classes = logits.shape[-1]
        found += _wrong_lengths(features, feature_length, logits, logit_length)
        logit_length = np.minimum(logit_length, logits.shape[1])
    strange = _strange_ids(rows, classes) if classes else []
    found += strange + _too_short(rows, logit_length)
    if characters and texts is not None and not strange:
        found += _not_the_texts(rows, characters, texts)
    return found if logits is None else found + _bad_output(logits, logit_length, rows, steps)


def _rows(labels, label_length) -> list[np.ndarray]:
    """The ids of each utterance, from any form of labels."""
    if hasattr(labels, "dense_shape"):  # sparse
        owner, values = np.asarray(labels.indices)[:, 0], np.asarray(labels.values)
        return [values[owner == i] for i in range(int(labels.dense_shape[0]))]
    rows = [np.asarray(row, int) for row in labels]
    if label_length is None:
        return rows
    lengths = _integers("label_length", label_length)
    return [row[:n] for row, n in zip(rows, lengths, strict=True)]


def _integers(name, lengths) -> np.ndarray:
    lengths = np.asarray(lengths).reshape(-1)
    if lengths.dtype.kind not in "fiu" or (lengths != np.round(lengths)).any():
        raise ValueError(f"{name} must hold integers, not {lengths}")
    return lengths.astype(int)


def _no_such_lengths(name, lengths, what, most) -> list[str]:
    lengths = np.asarray(lengths)
    if not lengths.size or (lengths.min() >= 0 and lengths.max() <= most):
        return []
    return [f"{name} goes from {lengths.min()} to {lengths.max()}, but there are {most} {what}."]


def _bad_features(features, lengths) -> list[str]:
    valid = [row[:n] for row, n in zip(features, lengths, strict=True)]
    strange = [i for i, row in enumerate(valid) if not np.isfinite(row).all()]
    constant = [i for i, row in enumerate(valid) if len(row) > 1 and (row == row[0]).all()]
    found = [f"Features hold NaN or infinity: utterance {named(strange)}."] if strange else []
    if constant:
        found.append(f"Features are constant, all frames alike: utterance {named(constant)}.")
    return found


def _padded_frames(features, lengths) -> list[str]:
    frames = features.shape[1]
    flat = features.reshape(*features.shape[:2], -1)
    tails = [_tail((row == row[-1:]).all(axis=1)) for row in flat]
    if not tails or (lengths != frames).any() or not max(4, frames / 8) <= max(tails) > min(tails):
        return []
    return [
        f"Padded widths are given as lengths: every feature_length is {frames}, but utterance "
        f"{np.argmax(tails)} ends in {max(tails)} equal frames, as padding does."
    ]


def _padded_labels(rows) -> list[str]:
    if len({len(row) for row in rows}) != 1 or not len(rows[0]):
        return []
    last, count = np.unique([row[-1] for row in rows], return_counts=True)
    padding = last[count.argmax()]
    tails = [_tail(row == padding) for row in rows]
    if 2 * count.max() < len(rows) or not 3 <= max(tails) > min(tails):
        return []
    return [
        f"Padded widths are given as label lengths: all are {len(rows[0])}, but utterance "
        f"{np.argmax(tails)} ends in {max(tails)} times id {padding}, as padding does."
    ]


def _tail(same) -> int:
    """How many there are at the end."""
    return int(np.argmin([*same[::-1], False]))


def _wrong_lengths(features, feature_length, logits, logit_length) -> list[str]:
    before, frames = features.shape[1], logits.shape[1]
    if feature_length.max(initial=0) > before:
        return []  # said already
    pooled = frames < before and (logit_length == feature_length).all()
    if pooled or (logit_length > frames).any():
        return [
            f"Lengths are from before pooling: logit_length is up to {logit_length.max()}, but "
            f"{before} frames of features have become {frames} frames of logits."
        ]
    # By a frame at least, whatever the strides round off.
    shorter = feature_length.min() * frames <= (frames - 1) * before
    if (logit_length == frames).all() and shorter:
        return [
            f"Padded widths are given as lengths: every logit_length is {frames}, but the features "
            f"have {feature_length.min()} to {feature_length.max()} frames."
        ]
    return []


def _strange_ids(rows, classes) -> list[str]:
    ids = np.concatenate([np.zeros(0, int), *rows])
    if not ids.size or (ids.min() >= 0 and ids.max() <= classes - 2):
        return []
    shifted = ids.min() == 1 and ids.max() == classes - 1 and 2 * len(set(ids)) > classes
    return [
        f"{'Labels are shifted by one' if shifted else 'Labels are no classes'}: ids go from "
        f"{ids.min()} to {ids.max()}, but the classes of labels are 0 to {classes - 2}."
    ]


def _too_short(rows, frames) -> list[str]:
    needed = [len(row) + int((row[1:] == row[:-1]).sum()) for row in rows]
    short = [i for i, n in enumerate(needed) if n > frames[i]]
    if not short:
        return []
    return [
        f"CTC can't align utterance {named(short)}: {frames[short[0]]} frames where "
        f"{needed[short[0]]} are needed, one for each label and each adjacent repeat."
    ]


def _not_the_texts(rows, characters, texts) -> list[str]:
    ids = {character: i for i, character in enumerate(characters)}
    expected = [[ids.get(character, -1) for character in text] for text in texts]
    if all(list(row) == truth for row, truth in zip(rows, expected, strict=True)):
        return []
    return [explain_mismatch(expected, rows) or "Labels are not the texts: encode them anew."]


def _bad_output(logits, lengths, rows, steps) -> list[str]:
    """What the numbers say that a model gives for the frames that count."""
    frames = np.concatenate([x[:n] for x, n in zip(logits, lengths, strict=True)])  # [N, C]
    if np.isnan(frames).any():
        return ["Logits hold NaN: look for infeasible utterances, and clip the gradient."]
    if not len(frames) or not sum(map(len, rows)):
        return []
    if (frames >= 0).all() and np.allclose(frames.sum(axis=-1), 1, atol=1e-3):
        return [
            "Softmax is applied twice: the model gives probabilities, and a loss that takes logits "
            "applies its own. Take the activation off the last layer."
        ]
    best, blank = frames.argmax(axis=-1), frames.shape[-1] - 1
    usual = int(np.bincount(best).argmax())
    if (best == usual).all() and len(set(np.concatenate(rows).tolist())) > 1:
        return _plateau(frames, usual, sum(map(len, rows)), steps)
    read = greedy_decode(logits, lengths)
    if usual != blank and label_error_rate(rows, read) > 0.5:
        other = greedy_decode(logits, lengths, blank_index=usual)
        if any(label_error_rate(rows, [ids + by for ids in other]) < 0.3 for by in (0, 1, -1)):
            return [_blank_mismatch(usual, blank)]
    mismatch = explain_mismatch(rows, read)
    return [f"Reading and labels differ. {mismatch}"] if mismatch else []


def _plateau(frames, usual, labels, steps) -> list[str]:
    """One class is the largest in all frames: as on the way to a trained model, or not?"""
    blank = frames.shape[-1] - 1
    p = np.exp(frames - frames.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)  # [N, C]
    if p[:, usual].mean() < 0.5:
        return []  # nothing learnt yet
    if usual != blank:
        return [_blank_mismatch(usual, blank)]
    if len(frames) > 1 and np.ptp(frames, axis=0).max() < 1e-4:
        return [
            "Only blanks, and not as usual: the logits are the same in all frames, whatever the "
            "features. Look for a dead layer, or a step that was too large."
        ]
    # Once the output's bias has settled, its gradient (eq. 16 of Graves et al. 2006, summed over
    # frames) is zero, and the labels weigh at least a frame each, whatever is not learnt yet.
    weight = (1 - p[:, blank]).sum()
    few = weight < 0.2 * labels
    found = f"the other classes weigh {weight:.1f} frames in all, for {labels} labels"
    why = "It learns from other labels, such as empty ones or padding, or it diverged."
    if few and steps is None:
        return [f"Only blanks, {found}: as usual in the first 300 steps, but not later. {why}"]
    if few and steps > 300:
        return [f"Only blanks, and not as usual after {steps} steps: {found}. {why}"]
    if steps is not None and steps > 3000:
        why = "Do labels belong to their utterances? Learn one small batch by heart first."
        return [f"Only blanks, and not as usual after {steps} steps. {why}"]
    return [f"Only blanks, as usual early in a training: {found}. Keep training."]


def _blank_mismatch(usual, blank) -> str:
    return (
        f"Blank mismatch: the model's blank seems to be class {usual}, but labels and decoder have "
        f"it last, as class {blank}."
    )
