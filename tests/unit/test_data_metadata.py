"""What of a VOTable is kept beside an astropy Table, as far as no VOTable is needed to tell."""

from __future__ import annotations

from types import SimpleNamespace

from asyncsamp.data.metadata import VotableMetadata


def test_it_says_what_it_holds() -> None:
    epoch = SimpleNamespace(name="epoch", value=2016.0)
    kept = VotableMetadata(table={"params": [epoch]}, file={"coordinate_systems": ["ICRS"]})
    assert kept.params == {"epoch": 2016.0}
    assert kept.coordinate_systems == ["ICRS"]
    assert repr(kept) == "<VotableMetadata params ['epoch'], 1 COOSYS>"
