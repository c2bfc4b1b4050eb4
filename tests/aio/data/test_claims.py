"""Tables and images that claim much, or point elsewhere: refused before they cost anything."""

from __future__ import annotations

import asyncio
import gzip
import http.server
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits, votable

from asyncsamp import Client, DataError, ReplyError
from asyncsamp.data import context
from asyncsamp.data.fetching import fetch
from asyncsamp.data.formats.claims import check_votable_claims
from asyncsamp.data.formats.images import read_image
from asyncsamp.data.formats.kinds import Kind, recognise_bytes
from asyncsamp.data.formats.table_read import read_spectrum, read_table
from asyncsamp.mtypes import TableLoadVotable

from ..desktops import pair

VOTABLE = """<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE%s>
<FIELD name="a" datatype="int"/><DATA>%s</DATA></TABLE></RESOURCE></VOTABLE>"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_data_in_another_file_are_not_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "private").write_bytes(b"\0\0\0\7")
    stream = f'<BINARY><STREAM href="{(tmp_path / "private").as_uri()}"/></BINARY>'
    with pytest.raises(DataError, match="in another file"):
        read_table((VOTABLE % ("", stream)).encode(encoding))


def test_no_server_is_asked() -> None:
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stream = f"<BINARY><STREAM href='http://127.0.0.1:{server.server_port}/'/></BINARY>"
        with pytest.raises(DataError, match="in another file"):
            read_table((VOTABLE % ("", stream)).encode())
        server.shutdown()
    assert asked == []


def test_an_entity_that_hides_it_is_refused() -> None:
    entity = "<!DOCTYPE VOTABLE [<!ENTITY s \"&#60;STREAM &#104;ref='file:///etc/passwd'/>\">]>"
    with pytest.raises(DataError, match="XML entities"):
        read_table((entity + VOTABLE % ("", "<BINARY>&s;</BINARY>")).encode())


def test_links_are_no_matter() -> None:
    data = VOTABLE % ("", "<TABLEDATA><TR><TD>7</TD></TR></TABLEDATA>")
    data = data.replace("<DATA>", '<LINK href="http://127.0.0.1:1/"/><DATA>')
    assert list(read_table(data.encode())["a"]) == [7]


def test_rows_that_are_not_there() -> None:
    with pytest.raises(DataError, match="more rows than it has bytes"):
        read_table((VOTABLE % (' nrows="100000000000"', "<TABLEDATA/>")).encode())
    rows = fits.BinTableHDU.from_columns([fits.Column("a", "0A", array=np.array([""]))])
    rows.header["NAXIS1"] = 0
    header = rows.header.copy()
    header["NAXIS2"] = 10**11
    data = fits.PrimaryHDU().header.tostring().encode() + header.tostring().encode()
    with pytest.raises(DataError, match="claims 100000000000 rows"):
        read_table(data)


@pytest.mark.parametrize(
    "field",
    [
        'arraysize="1000000000" datatype="double"',
        "datatype='char' ucd='a>b' arraysize='10000000000'",
        'datatype="float" arraysize="100000x100000"',
        'datatype="int" arraysize="&#49;000000000000"',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_arrays_that_are_not_there(field: str, encoding: str) -> None:
    data = VOTABLE % ("", "<TABLEDATA><TR><TD>7</TD></TR></TABLEDATA>")
    with pytest.raises(DataError, match=r"claims arrays of \d+ bytes|arraysize that is not plain text"):
        read_table(data.replace('datatype="int"', field).encode(encoding))


@pytest.mark.parametrize("tag", ["FIELD", "v:FIELD", "FIELD:FIELD", "v-1.FIELD:FIELD", "FIELD FIELD='FIELD'"])
def test_a_field_is_found_whatever_its_prefix(tag: str) -> None:
    text = f"FIELD FIELD < FIELD <FIELDS a=''/><{tag} datatype='double' arraysize='1000000000'/>"
    with pytest.raises(DataError, match="claims arrays of 8000000000 bytes"):
        check_votable_claims(text.encode())
    check_votable_claims(text.replace("<" + tag, "<PARAM").encode())


@pytest.mark.parametrize("end", ["-->", "]]>", "?>"])
def test_a_comment_does_not_hide_data_in_another_file(tmp_path: Path, end: str) -> None:
    """What is cut out before the check may hold the end of a comment; then the rest means something else."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"7")
    begin = {"-->": "<!--", "]]>": "<![CDATA[", "?>": "<?x "}[end]
    document = f"""<VOTABLE version="1.4"><RESOURCE><TABLE><FIELD name="a" datatype="char" arraysize="*"/>
    <BINARY2 ><STREAM>{begin} <BINARY2><STREAM encoding="base64"> {end} {" " * 20_000}</STREAM></BINARY2>
    <DATA><BINARY2 ><STREAM href="{secret.as_uri()}"/></BINARY2></DATA>
    <![CDATA[ --> ?></STREAM></BINARY2><!-- ]]> --></TABLE></RESOURCE></VOTABLE>"""
    with pytest.raises(DataError, match=r"in another file|not a VOTable"):
        read_table(document.encode())


def test_a_word_that_ends_in_nrows_claims_nothing() -> None:
    data = VOTABLE % ("", "<TABLEDATA><TR><TD>7</TD></TR></TABLEDATA>")
    data = data.replace("<DATA>", "<!-- max_nrows='100000000000' --><DATA>")
    assert list(read_table(data.encode())["a"]) == [7]


def test_many_fields_without_an_end_take_no_long_time() -> None:
    begun = time.thread_time()
    for document in (b"<FIELD " * 150_000 + b">", b"<FIELD " * 150_000, b"FIELD" * 200_000):
        check_votable_claims(document)
    assert time.thread_time() - begun < 5


def test_arrays_that_are_there() -> None:
    data = VOTABLE % ("", "<TABLEDATA><TR><TD>7 8 9 1 2 3</TD></TR></TABLEDATA>")
    table = read_table(data.replace("datatype", 'arraysize="3x2" datatype').encode())
    assert table["a"][0].tolist() == [[7, 8, 9], [1, 2, 3]]


EMPTY = {"SIMPLE": "T", "BITPIX": 8, "NAXIS": 0}
IMAGE = {"XTENSION": "'IMAGE'", "BITPIX": 8, "NAXIS": 1, "NAXIS1": 1}
TABLE = {"XTENSION": "'BINTABLE'", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": 1, "TFORM1": "'1PB(0)'"}
COUNT = 999_999_999


def unit(cards: dict[str, object]) -> bytes:
    """Return a header, with one block of data."""
    text = "".join(f"{key:<8}= {value:>20}".ljust(80) for key, value in cards.items())
    return (text + "END").encode().ljust(2880) + bytes(2880)


@pytest.mark.parametrize(
    ("units", "claim"),
    [
        ([EMPTY | {"NAXIS": COUNT}], "claims NAXIS = 999999999; FITS allows 999"),
        ([EMPTY | {"naxis": 1000}], "claims NAXIS = 1000;"),
        ([EMPTY | {"NAXIS1": 2880, "NAXIS": 1}, IMAGE | {"NAXIS": COUNT}], "claims NAXIS ="),
        ([EMPTY | {"NAXIS1": 2880, "NAXIS": 1}, TABLE | {"TFIELDS": COUNT}], "claims TFIELDS ="),
        (
            [EMPTY | {"NAXIS1": 2880, "NAXIS": 1}, TABLE | {"TFIELDS": 1, "ZIMAGE": "T", "ZNAXIS": COUNT}],
            "claims ZNAXIS =",
        ),
        ([EMPTY | {"NAXIS": 1, "NAXIS1": -2880}], "claims -2880 bytes of data in its HDU 0"),
        ([EMPTY | {"NAXIS1": 2880, "NAXIS": 1}, IMAGE | {"PCOUNT": -2881}], "claims -2880 bytes .* HDU 1"),
    ],
)
@pytest.mark.parametrize("read", [read_table, read_image, read_spectrum])
def test_counts_and_sizes_that_no_fits_file_has(
    read: Callable[[bytes], Any], units: list[dict[str, object]], claim: str
) -> None:
    with pytest.raises(DataError, match=claim):
        read(b"".join(map(unit, units)))


@pytest.mark.parametrize("cards", [{"NAXIS": COUNT}, {"PCOUNT": -2880}, {"NAXIS": "two"}])
def test_to_recognise_a_fits_file_takes_no_time_whatever_it_claims(cards: dict[str, object]) -> None:
    assert recognise_bytes(unit(EMPTY | cards)) is Kind.IMAGE


def test_what_is_not_fits_is_no_spectrum() -> None:
    with pytest.raises(DataError, match="this is not a FITS file: "):
        read_spectrum(b"SIMPLE  =")


def test_pixels_that_a_small_file_unpacks_to() -> None:
    file = BytesIO()
    pixels = fits.CompImageHDU(np.zeros((1000, 1000), "i4"))
    fits.HDUList([fits.PrimaryHDU(), pixels]).writeto(file)
    assert len(read_image(file.getvalue())) == 2
    with pytest.raises(DataError, match=r"claims .* bytes of data; no more than 1000000 are read"):
        read_image(file.getvalue(), 1_000_000)


@pytest.mark.both_loops
async def test_gzip_of_many_empty_members(tmp_path: Path) -> None:
    """It took time that grew with the square of their number."""
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"") * 100_000 + gzip.compress(b"end"))
    began = time.process_time()
    assert await fetch(path.as_uri()) == b"end"
    assert time.process_time() - began < 20


async def test_what_is_unpacked_is_in_memory_once(tmp_path: Path) -> None:
    size = 32 * 1024 * 1024
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(bytes(size), 1))
    tracemalloc.start()
    try:
        assert len(await fetch(path.as_uri(), max_size=size)) == size
        assert tracemalloc.get_traced_memory()[1] < 1.5 * size
        tracemalloc.reset_peak()
        with pytest.raises(DataError, match=f"more than {size // 2} bytes when unpacked"):
            await fetch(path.as_uri(), max_size=size // 2)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * size
    finally:
        tracemalloc.stop()


def test_a_file_whose_reading_does_not_end_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    began, go_on = threading.Event(), threading.Event()
    real = votable.parse

    def slow(*args: Any, **options: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            began.set()
            go_on.wait(30)
        return real(*args, **options)

    monkeypatch.setattr(votable, "parse", slow)
    data = (VOTABLE % ("", "<TABLEDATA><TR><TD>7</TD></TR></TABLEDATA>")).encode()
    stuck = threading.Thread(target=read_table, args=(data,), daemon=True)
    stuck.start()
    assert began.wait(10)
    filters = warnings.filters[:]
    assert list(read_table(data)["a"]) == [7]
    assert warnings.filters == filters
    go_on.set()
    stuck.join(10)
    assert not stuck.is_alive()
    assert warnings.filters != filters


@pytest.mark.both_loops
async def test_a_loading_that_does_not_end_holds_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def endless(data: bytes, max_size: int) -> Any:
        assert threading.current_thread().daemon
        go_on.wait(30)

    monkeypatch.setattr(context, "read_table", endless)
    monkeypatch.setattr(context, "TIMEOUT", 0.3)
    path = tmp_path / "t.vot"
    path.write_bytes(b"<VOTABLE/>")

    async def refused(sender: Client, receiver: Client) -> str:
        with pytest.raises(ReplyError) as caught:
            await sender.call(receiver.public_id, TableLoadVotable(url=path.as_uri()), timeout=10)
        return str(caught.value)

    async with pair(tmp_path) as (sender, receiver), receiver.tables():
        texts = await asyncio.gather(*(refused(sender, receiver) for _ in range(8)))
    assert all(": cannot read file:" in text and text.endswith(" within 0.3 s") for text in texts)
    go_on.set()
