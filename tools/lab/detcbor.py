"""Deterministic CBOR (RFC 8949, 4.2.1): shortest forms, map keys in the bytewise order of their encodings.

cbor2 sorts keys by length first when asked to be canonical (the older rule of RFC 7049), so maps are
written here; scalars are left to cbor2, which writes them in the shortest form.
"""

import cbor2


def _head(major, argument):
    if argument < 24:
        return bytes([major << 5 | argument])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * size:
            return bytes([major << 5 | code]) + argument.to_bytes(size, "big")
    raise ValueError("CBOR argument does not fit 64 bits")


def dumps(value):
    """The one deterministic encoding of a value made of dicts, lists, tags and scalars."""
    if isinstance(value, dict):
        pairs = sorted((dumps(key), dumps(item)) for key, item in value.items())
        return _head(5, len(pairs)) + b"".join(key + item for key, item in pairs)
    if isinstance(value, (list, tuple)):
        return _head(4, len(value)) + b"".join(dumps(item) for item in value)
    if isinstance(value, cbor2.CBORTag):
        return _head(6, value.tag) + dumps(value.value)
    return cbor2.dumps(value, canonical=True)
