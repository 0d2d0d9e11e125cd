"""Makes a self-signed certificate for 127.0.0.1, so that the repository contains no key."""

import base64
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

# The curve P-256 (FIPS 186-4, D.1.2.3); its a is -3.
_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

# Object identifiers, encoded.
_EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
_P256 = bytes.fromhex("06082a8648ce3d030107")
_ECDSA_SHA256 = bytes.fromhex("06082a8648ce3d040302")
_COMMON_NAME = bytes.fromhex("0603550403")
_SUBJECT_KEY_ID = bytes.fromhex("0603551d0e")
_KEY_USAGE = bytes.fromhex("0603551d0f")
_ALTERNATIVE_NAME = bytes.fromhex("0603551d11")
_BASIC_CONSTRAINTS = bytes.fromhex("0603551d13")

_TRUE = bytes.fromhex("0101ff")

Point = tuple[int, int]


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """Write a new key and its certificate; return the paths of the certificate and of both."""
    key = secrets.randbelow(_ORDER - 1) + 1
    x, y = _times(key, _BASE)
    point = b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")
    public = _der(0x03, b"\x00", point)
    name = _sequence(_der(0x31, _sequence(_COMMON_NAME, _der(0x0C, b"importmonitor's tests"))))
    now = datetime.now(UTC)
    dates = (now - timedelta(days=1), now + timedelta(days=1))
    algorithm = _sequence(_ECDSA_SHA256)
    extensions = (
        (_BASIC_CONSTRAINTS, _TRUE, _sequence(_TRUE)),
        (_KEY_USAGE, _TRUE, bytes.fromhex("03020284")),
        (_SUBJECT_KEY_ID, b"", _der(0x04, hashlib.sha1(point, usedforsecurity=False).digest())),
        (_ALTERNATIVE_NAME, b"", _sequence(_der(0x87, bytes([127, 0, 0, 1])))),
    )
    contents = _sequence(
        _der(0xA0, _integer(2)),
        _integer(secrets.randbits(64)),
        algorithm,
        name,
        _sequence(*(_der(0x17, f"{date:%y%m%d%H%M%SZ}".encode()) for date in dates)),
        name,
        _sequence(_sequence(_EC_PUBLIC_KEY, _P256), public),
        _der(0xA3, _sequence(*(_sequence(o, c, _der(0x04, v)) for o, c, v in extensions))),
    )
    signed = _sequence(contents, algorithm, _der(0x03, b"\x00", _signature(key, contents)))
    private = _sequence(
        _integer(1), _der(0x04, key.to_bytes(32, "big")), _der(0xA0, _P256), _der(0xA1, public)
    )
    certificate, both = directory / "certificate.pem", directory / "both.pem"
    certificate.write_text(_pem("CERTIFICATE", signed))
    both.write_text(_pem("EC PRIVATE KEY", private) + _pem("CERTIFICATE", signed))
    return certificate, both


def _signature(key: int, message: bytes) -> bytes:
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    nonce = secrets.randbelow(_ORDER - 1) + 1
    r = _times(nonce, _BASE)[0] % _ORDER
    s = pow(nonce, -1, _ORDER) * (digest + r * key) % _ORDER
    return _sequence(_integer(r), _integer(s))


def _times(factor: int, point: Point) -> Point:
    total: Point | None = None
    for bit in f"{factor:b}":
        if total is not None:
            total = _plus(total, total)
        if bit == "1":
            total = point if total is None else _plus(total, point)
    assert total is not None
    return total


def _plus(one: Point, other: Point) -> Point:
    if one == other:
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, _P) % _P
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, _P) % _P
    x = (slope * slope - one[0] - other[0]) % _P
    return x, (slope * (one[0] - x) - one[1]) % _P


def _der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content


def _sequence(*contents: bytes) -> bytes:
    return _der(0x30, *contents)


def _integer(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _pem(label: str, content: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(content).decode()}-----END {label}-----\n"
