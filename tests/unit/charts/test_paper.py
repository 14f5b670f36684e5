"""The plot of a README shows what the cells say, as valid SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from comparing import a_cell

from coop_demo.charts.paper import paper_svg


def test_a_panel_a_set_and_their_mean_with_three_kinds_of_lines():
    cells = []
    for name in ("dtd", "eurosat"):
        cells.append(a_cell(dataset=name, method="hand-crafted", shots=0, seed=0, accuracy=0.4))
        cells += [a_cell(dataset=name, shots=n, seed=1, accuracy=0.5 + n / 100) for n in (1, 4)]
    svg = paper_svg(cells)
    root = ElementTree.fromstring(svg)
    said = [element.text for element in root.iter() if element.text]
    assert {"Mean of 2 sets", "dtd", "eurosat", "the paper"} <= set(said)
    lines = [e for e in root.iter() if e.tag.endswith("polyline")]
    assert len(lines) == 6  # ours and the paper's in each panel
    own = [e for e in lines if e.get("stroke") == "#138a7e"]
    first, last = ([float(n) for n in p.split(",")] for p in own[1].get("points").split())
    assert first[0] < last[0]  # more shots to the right
    assert first[1] > last[1]  # more accuracy higher up
    assert not re.search(r"nan|inf", svg)


def test_strange_names_are_text_and_no_cells_give_nothing():
    svg = paper_svg([a_cell(dataset="<b>&", shots=1)])
    ElementTree.fromstring(svg)
    assert "<b>" not in svg
    assert paper_svg([]) == ""
