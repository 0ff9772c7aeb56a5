"""Digit strings: the splits share no image, and a string shows the digits it says."""

import hashlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ctc_tutorial.data.digit_strings import load_digit_images, make_digit_strings, warp_images


def test_the_splits_are_the_stated_parts_of_the_set():
    bunch = load_digits()
    for split, part in {
        "train": slice(0, 1200),
        "dev": slice(1200, 1400),
        "final": slice(0, 1400),
        "test": slice(1400, 1797),
    }.items():
        images, labels = load_digit_images(split)
        np.testing.assert_array_equal(images * 16, bunch.images[part])
        np.testing.assert_array_equal(labels, bunch.target[part])
        assert images.dtype == np.float32 and labels.dtype == np.int32
    with pytest.raises(ValueError, match="'validation': choose one of train, dev, final, test"):
        load_digit_images("validation")


def test_shapes_and_limits():
    features, labels = make_digit_strings(200, "test", seed=1)
    assert len(features) == len(labels) == 200
    assert {len(ids) for ids in labels} == set(range(3, 10))
    for image, ids in zip(features, labels, strict=True):
        assert image.shape[1] == 12 and image.dtype == np.float32 and ids.dtype == np.int32
        assert 8 + 6 * (len(ids) - 1) <= image.shape[0] <= 12 * len(ids) + 10
        assert 0 <= image.min() and 0.5 < image.max() <= 1
        assert 0 <= ids.min() and ids.max() <= 9
    with pytest.raises(ValueError, match="max_digits=3: give an integer, at least 4"):
        make_digit_strings(1, "train", 0, min_digits=4, max_digits=3)


def test_one_digit_is_one_image_of_its_class_and_split_in_one_shade():
    images, labels = load_digit_images("dev")
    for frames, ids in zip(
        *make_digit_strings(50, "dev", 2, min_digits=1, max_digits=1), strict=True
    ):
        line = frames.T  # upright
        rows, columns = np.nonzero(line)
        best = 0.0
        for image in images[labels == ids[0]]:
            r, c = np.nonzero(image)
            place = line[rows.min() :, columns.min() :][: np.ptp(r) + 1, : np.ptp(c) + 1]
            tight = image[r.min() : r.max() + 1, c.min() : c.max() + 1]
            if place.shape == tight.shape:
                cosine = (place * tight).sum() / np.sqrt((place**2).sum() * (tight**2).sum())
                best = max(best, cosine)
        assert best == pytest.approx(1, abs=1e-5)


def test_the_same_seeds_give_the_same_pictures_for_ever():
    """Digest and numbers of version 0.1, whose pictures were upright."""
    digest = hashlib.sha256()
    for frames, ids in zip(*make_digit_strings(20, "train", seed=5), strict=True):
        digest.update(np.ascontiguousarray(frames.T).tobytes() + ids.tobytes())
    assert digest.hexdigest() == "a03a3964749a56873cdc3ed14b78b832560b271e0e105d90b26f0635474f98df"

    # Sines and powers may differ in the last digit between machines.
    features, labels = make_digit_strings(20, "train", seed=5, augment=True)
    widths = [72, 79, 24, 68, 49, 56, 64, 48, 78, 26, 39, 47, 46, 56, 29, 30, 33, 29, 37, 90]
    assert [len(frames) for frames in features] == widths
    assert labels[0].tolist() == [0, 6, 4, 5, 6, 5, 3]
    rows = [0, 3.241, 6.482, 11.031, 12.588, 11.684, 15.116, 19.272, 15.028, 8.264, 5.071, 0.986]
    np.testing.assert_allclose(features[0].sum(axis=0), rows, atol=2e-3)
    columns = [0, 0.48, 2.213, 4.895, 3.24, 2.776, 2.935, 2.157, 0.899, 0, 0, 0.24]
    np.testing.assert_allclose(features[0].sum(axis=1)[:12], columns, atol=2e-3)


def test_the_seed_decides():
    one, again, other = (make_digit_strings(5, "train", seed, augment=True) for seed in (7, 7, 8))
    for a, b in zip(one[0] + one[1], again[0] + again[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(a.shape != b.shape for a, b in zip(one[0], other[0], strict=True))


def test_warping_changes_every_copy_but_keeps_the_digit_recognisable():
    images, labels = load_digit_images("train")
    warped = warp_images(images, np.random.default_rng(0))
    assert warped.shape == images.shape and warped.dtype == np.float32
    assert 0 <= warped.min() and warped.max() <= 1 + 1e-6
    assert (np.abs(warped - images).reshape(len(images), -1).max(axis=1) > 0.01).all()
    # The nearest unwarped image of the others names the digit nearly always.
    flat, seen = images.reshape(-1, 64), warped.reshape(-1, 64)
    distance = (flat**2).sum(1) - 2 * seen @ flat.T
    np.fill_diagonal(distance, np.inf)
    assert (labels[distance.argmin(axis=1)] == labels).mean() > 0.9
