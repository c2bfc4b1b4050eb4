"""Images there and back: astropy's HDUs and data classes, numpy arrays, FITS files (runs off the loop)."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from ...errors import DataError
from ..optional import need, quiet
from .claims import MAX_SIZE
from .fits_units import open_units

__all__ = ["read_image", "read_moc", "refuse_table", "write_image", "write_moc", "write_spectrum"]


def write_image(data: Any, wcs: Any = None) -> bytes:
    """Return an image as a FITS file.

    `data` is an HDU, an HDUList, an NDData or CCDData, or an array, for which `wcs` may be
    given. Raises `DataError` if there is nothing to show in it.
    """
    units = _hdulist(data, wcs)
    if not any(_pixels(unit) for unit in units):
        raise DataError(_no_pixels(data))
    return _write(units)


def _no_pixels(data: Any) -> str:
    if isinstance(data, list):  # as an HDUList is
        tables = any(_holds_columns(unit) for unit in data)
        return "no HDU of this HDUList holds any pixels" + ("; send_table sends its tables" if tables else "")
    return (
        f"this {type(data).__name__} holds no pixels, as the first HDU of many files: send the one that has "
        "some, such as hdulist[1], or the whole HDUList"
    )


def refuse_table(data: Any) -> None:
    """Raise `DataError`, which names what to use, if `data` is a table and not an image."""
    frame = hasattr(data, "columns") and hasattr(data, "dtypes")  # of pandas, which is an array as well
    if frame or hasattr(data, "colnames") or hasattr(data, "to_table") or _holds_columns(data):
        raise DataError(f"this {type(data).__name__} is a table, not an image: use send_table")


def write_moc(moc: Any) -> bytes:
    """Return a coverage map as a FITS file: a mocpy MOC, an HDU, or an HDUList. Raises `DataError`."""
    if hasattr(moc, "serialize"):
        moc = moc.serialize("fits")
    if _holds_columns(moc):
        moc = _with_primary(moc)
    if not isinstance(moc, need("astropy.io.fits").HDUList):
        raise DataError(
            f"cannot send {type(moc).__name__} as a coverage: expected a mocpy MOC, an HDU, a path or a URL"
        )
    return _write(moc)


def write_spectrum(spectrum: Any) -> bytes:
    """Return a spectrum as a FITS file: an HDU, HDUList or NDData as it is, of columns or of pixels.

    Raises `DataError`.
    """
    fits = need("astropy.io.fits")
    if isinstance(spectrum, fits.HDUList):
        if not any(unit.data is not None and unit.data.size for unit in spectrum):
            raise DataError("the spectrum has no data: no HDU of it holds any pixels or rows")
        return _write(spectrum)
    if _holds_columns(spectrum):
        return _write(_with_primary(spectrum))
    cube = isinstance(spectrum, need("astropy.nddata").NDData) and spectrum.data.ndim > 1
    if hasattr(spectrum, "writeto") or cube:
        return write_image(spectrum)
    if hasattr(spectrum, "__array__") or hasattr(spectrum, "data") or isinstance(spectrum, list | tuple):
        raise DataError(
            "an array alone is not a spectrum: send its wavelengths, too, as in "
            "send_spectrum(Table({'wavelength': wavelength, 'flux': flux}))"
        )
    raise DataError(
        f"cannot send {type(spectrum).__name__} as a spectrum: expected a table, an HDU or HDUList, a path "
        "or a URL"
    )


def _holds_columns(data: Any) -> bool:
    fits = need("astropy.io.fits")
    compressed = isinstance(data, fits.CompImageHDU)  # in columns, but of pixels
    return isinstance(data, fits.BinTableHDU | fits.TableHDU) and not compressed


def _with_primary(unit: Any) -> Any:
    fits = need("astropy.io.fits")
    return fits.HDUList([fits.PrimaryHDU(), unit])


def read_image(data: bytes, max_size: int = MAX_SIZE) -> Any:
    """Return a FITS file as an HDUList that is wholly in memory.

    Raises:
        DataError: It is not FITS, holds no image, or claims more than `max_size` bytes of pixels.
    """
    try:
        with quiet():
            units = open_units(data, max_size)
            for unit in units:
                _ = unit.data
    except DataError:
        raise
    except Exception as error:  # astropy raises what it likes
        text = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"this is not a FITS image: {text[0][:200]}") from error
    if not any(_pixels(unit) for unit in units):
        raise DataError("the FITS file holds no image")
    return units


def read_moc(data: bytes, max_size: int = MAX_SIZE) -> Any:
    """Return a coverage map, in FITS or as ASCII text, as a mocpy MOC.

    Raises:
        DataError: It is not a MOC, or its FITS claims more than `max_size` bytes.
        MissingExtraError: mocpy is not installed.
    """
    mocpy = need("mocpy", "moc")
    try:
        if not data.startswith(b"SIMPLE  ="):
            return mocpy.MOC.from_string(data.decode("ascii").strip())
        with quiet(), open_units(data, max_size):
            pass
        return mocpy.MOC.from_fits(io.BytesIO(data))
    except DataError:
        raise
    except Exception as error:  # mocpy and astropy raise what they like
        text = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"this is not a MOC: {text[0][:200]}") from error


def _hdulist(data: Any, wcs: Any) -> Any:
    fits = need("astropy.io.fits")
    nddata = need("astropy.nddata")
    if isinstance(data, fits.HDUList):
        return data
    if isinstance(data, fits.PrimaryHDU):
        return fits.HDUList([data])
    if isinstance(data, fits.CompImageHDU | fits.ImageHDU):
        if data.data is None:
            raise DataError(_no_pixels(data))
        return fits.HDUList([fits.PrimaryHDU(data.data, data.header)])
    if isinstance(data, nddata.CCDData):
        return data.to_hdu()
    if isinstance(data, nddata.NDData):
        wcs = data.wcs if wcs is None else wcs
        return fits.HDUList([_from_array(data.data, wcs, data.unit, dict(data.meta), data.mask)])
    refuse_table(data)
    if hasattr(data, "__array__") or isinstance(data, list | tuple):
        return fits.HDUList([_from_array(data, wcs, getattr(data, "unit", None), {})])
    raise DataError(
        f"cannot send {type(data).__name__} as an image: expected an HDU or HDUList, NDData, "
        "an array, a path or a URL"
    )


def _from_array(data: Any, wcs: Any, unit: Any, meta: dict[Any, Any], mask: Any = None) -> Any:
    fits = need("astropy.io.fits")
    pixels = _pixels_of(data, mask)
    if pixels.size == 0:
        raise DataError(f"an array of shape {pixels.shape} has no pixels, so there is no image to send")
    if pixels.ndim < 2:
        meant = "; send_spectrum or send_table take columns" if pixels.ndim else ""
        raise DataError(f"an image has two axes or more; this array has the shape {pixels.shape}{meant}")
    header = fits.Header() if wcs is None else _header_of(wcs)
    for key, value in meta.items():
        if isinstance(key, str) and len(key) <= 8 and isinstance(value, str | int | float):
            with contextlib.suppress(ValueError):  # a FITS header holds no NaN, and nothing but ASCII
                header[key] = value
    if unit is not None:
        header["BUNIT"] = str(unit)
    return fits.PrimaryHDU(pixels, header)


def _pixels_of(data: Any, mask: Any) -> Any:
    """Return the pixels as numbers that FITS can hold; NaN where they are masked, whatever stands beneath."""
    numpy = need("numpy")
    masks = [each for each in (mask, getattr(data, "mask", None)) if each is not None]
    values = getattr(data, "value", data)
    try:
        pixels = numpy.asarray(getattr(values, "unmasked", values))
        missing = [numpy.broadcast_to(numpy.asarray(each, bool), pixels.shape) for each in masks]
    except (TypeError, ValueError) as error:
        raise DataError(f"these are not pixels: {error}") from error
    if pixels.dtype.kind not in "biuf":
        raise DataError(f"FITS images cannot hold pixels of type {pixels.dtype}")
    if any(each.any() for each in missing):
        pixels = numpy.where(numpy.logical_or.reduce(missing), numpy.nan, pixels)
    if pixels.dtype.kind == "b":
        return pixels.astype("u1")
    if pixels.dtype.kind == "f" and pixels.dtype.itemsize not in (4, 8):
        return pixels.astype("f4" if pixels.dtype.itemsize == 2 else "f8")
    return pixels


def _header_of(wcs: Any) -> Any:
    """Return a WCS as a FITS header. Raises `DataError` for one that cannot be said there."""
    plain = getattr(wcs, "low_level_wcs", wcs)
    if not hasattr(plain, "pixel_n_dim"):
        raise DataError(f"wcs= is a {type(plain).__name__}; expected a WCS, as WCS(header) makes")
    if not hasattr(plain, "to_header"):
        raise DataError(
            f"the image's WCS, a {type(plain).__name__}, cannot be written as FITS: give one as wcs=, "
            "as astropy.wcs.WCS(...)[1:4, 1:4] makes it for a part of an image"
        )
    return plain.to_header()


def _pixels(unit: Any) -> bool:
    if not getattr(unit, "is_image", False) or unit.header.get("VOTMETA"):  # a text about the table behind it
        return False
    return unit.data is not None and unit.data.size > 0


def _write(units: Any) -> bytes:
    sink = io.BytesIO()
    try:
        with quiet():
            units.writeto(sink, output_verify="silentfix")
    except (TypeError, ValueError, OSError) as error:
        raise DataError(f"it cannot be written as FITS: {error}") from error
    return sink.getvalue()
