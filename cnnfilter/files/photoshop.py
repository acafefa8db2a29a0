"""Photoshop's image resources, in which JPEG and TIFF files hold captions (IPTC), guides and copyright."""

from collections.abc import Iterator

_SIGNATURES = (b"8BIM", b"AgHg", b"MeSa", b"DCSR", b"PHUT")  # Photoshop, and others that write such
_THUMBNAILS = (0x0409, 0x040C)


def without_thumbnails(resources: bytes) -> bytes:
    r"""Leave out the small copies of the image: they would show what the filter took away.

    What follows a damaged resource is left out as well.

    Examples
    --------
    >>> caption, copy = b"8BIM\x04\x04\0\0\0\0\0\x02ab", b"8BIM\x04\x0c\0\0\0\0\0\x01x\0"
    >>> without_thumbnails(caption + copy) == caption
    True
    """
    return b"".join(whole for number, whole, _ in resources_in(resources) if number not in _THUMBNAILS)


def resources_in(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield of each resource its number, all its bytes, and what it holds."""
    place = 0
    while data[place : place + 4] in _SIGNATURES and place + 12 <= len(data):
        name = data[place + 6] + 1
        sizes = place + 6 + name + name % 2
        size = int.from_bytes(data[sizes : sizes + 4], "big")
        end = sizes + 4 + size
        if end > len(data):
            return
        whole = data[place:end] + b"\0" * (size % 2)
        yield int.from_bytes(data[place + 4 : place + 6], "big"), whole, data[sizes + 4 : end]
        place = end + size % 2
