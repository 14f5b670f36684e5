"""The top of very many pictures is the top of the whole order, whoever scored which part."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from archiving import indexed, open_tiny, write_archive
from ordering import untrained

from coop_demo.archive import orders
from coop_demo.archive.indexing import IndexNote
from coop_demo.archive.orders import How, ScoredPart, TopResult, top_of_index, top_of_source
from coop_demo.archive.sources import open_source
from coop_demo.data.dataset import Picture
from coop_demo.engines.local import ThisProcess
from coop_demo.errors import ArchiveError
from coop_demo.ranking.baselines import antonym_scores
from coop_demo.ranking.instructions import AntonymPair
from coop_demo.ranking.order import ANTONYMS, COSINE, RANKER, score_images

pytest.importorskip("pyarrow", reason="an index needs pyarrow")
INSTRUCTION = "Rank the brightness."
PAIR = AntonymPair("bright", "dark")


def how(method, ranker=None):
    return How(method, INSTRUCTION, PAIR, open_tiny().identity, ranker)


def last(events):
    *_, result = events
    assert isinstance(result, TopResult)
    return result


@pytest.mark.parametrize("method", [RANKER, ANTONYMS, COSINE])
def test_it_is_the_head_of_the_order_that_rank_gives(tmp_path, monkeypatch, method):
    monkeypatch.setattr(orders, "SCORED_AT_ONCE", 4)
    archive = write_archive(tmp_path / "archive")
    source, ranker = open_source(str(archive)), untrained(open_tiny())
    given = ranker if method == RANKER else None
    found = last(top_of_source(source, open_tiny, how(method, given), ThisProcess(), top=5))
    readable = [e.path for e in source.entries() if not e.path.endswith("006.png")]
    pictures = [Picture(path, open_bytes(path)) for path in readable]
    *_, scored = score_images(
        open_tiny(), pictures, [INSTRUCTION], [PAIR], ranker, methods=(method,)
    )
    scores = scored.found[0].scores[method]
    order = np.argsort(-scores, kind="stable")[:5]
    assert [one.path for one in found.top] == [readable[i] for i in order]
    assert [one.score for one in found.top] == pytest.approx(scores[order].tolist(), abs=1e-5)
    assert (found.n_scored, found.n_unreadable) == (13, 1)
    assert (found.lowest, found.highest) == pytest.approx((scores.min(), scores.max()), abs=1e-5)
    assert found.mean == pytest.approx(scores.mean(), abs=1e-5)


def open_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def test_equal_scores_keep_the_order_of_the_source_whichever_part_comes_first():
    parts = [
        ScoredPart(number, (f"{number}a", f"{number}b"), ("", ""), np.array([1.0, 2.0]), ())
        for number in range(4)
    ]
    for arriving in (parts, parts[::-1]):
        gathered = orders._Gathered(3)
        for part in arriving:
            gathered.add(part)
        assert [one.path for one in gathered.result(0.0).top] == ["0b", "1b", "2b"]


def test_what_cannot_be_opened_is_said_and_a_vanished_source_ends_it(tmp_path):
    archive = write_archive(tmp_path / "archive", 4)
    table = tmp_path / "list.csv"
    names = [f"archive/red/00{i}.png" for i in (0, 2)] + ["archive/none.png"]
    table.write_text("path\n" + "\n".join(names))
    events = list(
        top_of_source(open_source(str(table)), open_tiny, how(COSINE), ThisProcess(), top=9)
    )
    assert any("none.png" in e.message for e in events if isinstance(e, IndexNote))
    assert (events[-1].n_scored, events[-1].n_unreadable) == (2, 1)
    source = open_source(str(archive))
    events = top_of_source(source, open_tiny, how(COSINE), ThisProcess(), top=9, count_first=False)
    archive.rename(tmp_path / "away")
    with pytest.raises(ArchiveError, match="still there"):
        list(events)


def test_from_an_index_it_is_the_order_of_the_features_and_the_ranker_is_refused(tmp_path):
    source = open_source(str(write_archive(tmp_path / "archive")))
    index, _ = indexed(source, tmp_path / "index", ThisProcess())
    found = top_of_index(index, open_tiny(), how(ANTONYMS), top=3)
    paths, features = [], []
    for rows in index.partitions():
        paths += [rows.paths[i] for i in rows.readable]
        features.append(rows.features[rows.readable].astype(np.float32))
    every = torch.nn.functional.normalize(torch.from_numpy(np.concatenate(features)), dim=-1)
    scores = antonym_scores(open_tiny(), every, PAIR).numpy()
    assert [one.path for one in found.top] == [paths[i] for i in np.argsort(-scores)[:3]]
    assert found.n_unreadable == 1
    with pytest.raises(ArchiveError, match="spatial tokens"):
        top_of_index(index, open_tiny(), how(RANKER), top=3)
