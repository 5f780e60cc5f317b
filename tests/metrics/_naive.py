"""The metrics written down as slowly and as plainly as they are defined: one threshold, one range at a time.

Independent of the package on purpose: nothing here shares a line with what it checks.
"""

import itertools
import math

import numpy as np


def ranges_of(mask):
    """Half-open (start, stop) of every run of ones."""
    found, start = [], None
    for t, value in enumerate([*mask, 0]):
        if value and start is None:
            start = t
        if not value and start is not None:
            found.append((start, t))
            start = None
    return found


def vus(labels, scores, buffer):
    n, segments = len(labels), ranges_of(labels)
    ordered = sorted(scores, reverse=True)
    rocs, prs = [], []
    for window in range(buffer + 1):
        half = window // 2
        soft = []
        for t in range(n):
            total = float(labels[t])
            for start, stop in segments:
                distance = start - t if t < start else t - (stop - 1)
                if 0 < distance <= half:
                    total += math.sqrt(1 - distance / window)
            soft.append(min(1.0, total))
        widened = _widen(segments, half, n)
        tpr, fpr, precision = [0.0], [0.0], []
        for k in range(250):
            threshold = ordered[int((n - 1) * k / 249)] if k < 249 else ordered[-1]
            predicted = [score >= threshold for score in scores]
            count = sum(predicted)
            hit = sum(s for s, p in zip(soft, predicted, strict=True) if p)
            whole = sum(1.0 if y else s * p for y, s, p in zip(labels, soft, predicted, strict=True))
            positives = (sum(labels) + whole) / 2
            touched = sum(any(predicted[a:b]) for a, b in widened) / len(widened)
            tpr.append(min(hit / positives, 1) * touched)
            fpr.append((count - hit) / (n - positives))
            precision.append(hit / count)
        prs.append(sum((tpr[i + 1] - tpr[i]) * precision[i] for i in range(250)))
        tpr.append(1.0)
        fpr.append(1.0)
        rocs.append(sum((fpr[i + 1] - fpr[i]) * (tpr[i + 1] + tpr[i]) / 2 for i in range(251)))
    return float(np.mean(rocs)), float(np.mean(prs))


def _widen(segments, half, n):
    """Grow every segment on both sides; those that share a point become one."""
    grown = []
    for start, stop in segments:
        start, stop = max(0, start - half), min(n, stop + half)
        if grown and start < grown[-1][1]:
            grown[-1] = (grown[-1][0], stop)
        else:
            grown.append((start, stop))
    return grown


def thresholds(scores, quantiles=None):
    return [np.quantile(scores, q) for q in (np.linspace(0, 1, 1500) if quantiles is None else quantiles)]


def standard_f1(labels, scores):
    best = (0.0, 0.0, 0.0)
    for threshold in thresholds(scores):
        predicted = scores >= threshold
        if predicted.all():
            continue
        true = int((predicted & (labels == 1)).sum())
        f1 = 2 * true / (predicted.sum() + labels.sum())
        if f1 > best[0]:
            best = (f1, true / predicted.sum(), true / labels.sum())
    if best[0] == 0:
        share = labels.mean()
        return 2 * share / (1 + share), share, 1.0
    return best


def point_adjusted_f1(labels, scores):
    best = 0.0
    for threshold in thresholds(scores, np.arange(0.7, 0.99, 0.001)):
        adjusted = scores > threshold
        first = adjusted[0]
        for start, stop in ranges_of(labels):
            if adjusted[start:stop].any():
                adjusted[start:stop] = True
        adjusted[0] = first  # the adjustment never reaches the first point
        true = (adjusted & (labels == 1)).sum()
        best = max(best, 2 * true / (adjusted.sum() + labels.sum()))
    return best


def event_f1(labels, scores):
    best = 0.0
    for threshold in thresholds(scores):
        predicted = scores > threshold
        if not predicted.any():
            continue
        segments = ranges_of(labels)
        recall = sum(predicted[a:b].any() for a, b in segments) / len(segments)
        precision = (predicted & (labels == 1)).sum() / predicted.sum()
        if precision + recall:
            best = max(best, 2 * precision * recall / (precision + recall))
    return best


def range_f1(labels, scores, *, stop_early):
    """In double precision; the package rounds to single precision as the original does."""
    best, real = 0.0, ranges_of(labels)
    for threshold in thresholds(scores):
        predicted = scores > threshold
        found = ranges_of(predicted)
        if not found:
            continue
        recall = np.mean([_overlap(item, found, predicted) for item in real])
        counted = found
        if stop_early:
            behind = [item for item in found if item[0] >= real[-1][1]]
            counted = [item for item in found if item[0] < real[-1][1]] + behind[:1]
        sizes = np.array([stop - start for start, stop in counted])
        precision = np.average([_overlap(item, real, labels) for item in counted], weights=sizes)
        if precision + recall:
            best = max(best, 2 * precision * recall / (precision + recall))
    return best


def _overlap(item, others, mask):
    start, stop = item
    touching = sum(a < stop and b > start for a, b in others)
    size = stop - start
    return ((size - 1) / size) ** (touching - 1) * np.mean(mask[start:stop]) if touching else 0.0


def affiliation_f1(labels, scores, steps=60):
    """By the midpoint rule on a fine grid: distances and probabilities by definition, no integrals."""
    n, events = len(labels), ranges_of(labels)
    borders = [0, *((a[1] + b[0]) / 2 for a, b in itertools.pairwise(events)), n]
    best = (-1.0, 0.0, 0.0)
    for threshold in sorted(set(thresholds(scores))):
        found = ranges_of(scores > threshold)
        precisions, recalls = [], []
        for (start, stop), low, high in zip(events, borders[:-1], borders[1:], strict=True):
            size = high - low
            grid = low + (np.arange(round(2 * size) * steps) + 0.5) / (2 * steps)
            hit = np.zeros(grid.size, dtype=bool)
            for a, b in found:
                hit |= (grid >= a) & (grid < b)
            if not hit.any():
                recalls.append(0.0)
                continue
            distance = np.maximum(np.maximum(start - grid, grid - stop), 0)
            left, right = start - low, high - stop
            nearer = (stop - start) + np.minimum(distance, left) + np.minimum(distance, right)
            inside = (grid >= start) & (grid < stop)
            precisions.append(np.where(inside, 1.0, 1 - nearer / size)[hit].mean())
            here = grid[inside]
            gap = np.full(here.size, np.inf)
            for a, b in found:
                a, b = max(a, low), min(b, high)
                if a < b:
                    gap = np.minimum(gap, np.maximum(np.maximum(a - here, here - b), 0))
            closer = np.minimum(gap, here - low) + np.minimum(gap, high - here)
            recalls.append(np.mean(1 - closer / size))
        if precisions:
            precision, recall = np.mean(precisions), np.mean(recalls)
            f1 = 2 * precision * recall / (precision + recall)
            best = max(best, (f1, precision, recall))
    return best


def pate(labels, scores, buffer, n_thresholds=None):
    cuts = _pate_thresholds(labels, scores)
    if n_thresholds is not None:
        cuts = np.percentile(cuts, np.linspace(100, 0, n_thresholds))
    areas = []
    for early, delay in itertools.product((0, buffer), repeat=2):
        curve = [(0.0, 1.0)]
        for cut in cuts:
            precision, recall = _pate_point(labels, scores >= cut, early, delay)
            if recall >= curve[-1][0]:
                curve.append((recall, precision))
        areas.append(sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(curve)))
    return float(np.mean(areas))


def _pate_thresholds(labels, scores):
    cuts = sorted(set(scores), reverse=True)
    true = [sum(1 for y, s in zip(labels, scores, strict=True) if y and s >= cut) for cut in cuts]
    last = len(cuts) - 1
    return [
        cut
        for k, cut in enumerate(cuts)
        if k in (0, last) or true[k] != true[k - 1] or true[k] != true[k + 1]
    ]


def _pate_point(labels, predicted, early, delay):
    segments, n = ranges_of(labels), len(labels)
    true = false = missed = 0.0
    credit = dict.fromkeys(range(n), 0.0)
    used = -1  # last point of the delay buffer before
    for k, (start, stop) in enumerate(segments):
        last, size = stop - 1, stop - start
        following = segments[k + 1][0] if k + 1 < len(segments) else n
        until = min(last + delay, following - 1)
        since = max(0, start - early, used + 1)
        used = until
        mean = (start + last) / 2
        for t in range(stop, until + 1):
            credit[t] = 1 - (t - mean) / (until - mean)
        found = [t for t in range(start, stop) if predicted[t]]
        for t in range(since, start):
            credit[t] = 1 - (mean - t) / (mean - since) if found else 0.0
        for t in range(start, stop):
            credit[t] = 1.0
        if not found:
            missed += size
            continue
        stretch = next((t - found[0] for t in range(found[0], stop) if not predicted[t]), stop - found[0])
        grace = start + stretch
        longest = sum(last - y for y in range(start, stop))
        for t in set(range(start, stop)) - set(found):
            far = sum(abs(t - y) for y in range(start, grace + 1))
            missed += 1 if t <= grace else 1 - far / longest
    for t in range(n):
        if predicted[t]:
            true += credit[t]
            false += 1 - credit[t]
    return true / (true + false) if true + false else 0.0, true / (true + missed) if true + missed else 0.0
