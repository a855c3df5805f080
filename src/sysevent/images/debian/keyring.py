"""OpenPGP certificates that may sign Debian's release files, and the check of a signature by them."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sysevent.errors import BadSignature, ImageError, UsageError
from sysevent.images.debian.sqv import SqvKeyring
from sysevent.reading import read_file
from sysevent.settings import Settings
from sysevent.text import one_line

if TYPE_CHECKING:
    import pysequoia
    from pysequoia import packet

# The files of Debian's package debian-archive-keyring: .pgp since trixie, .gpg before (now a link).
INSTALLED_KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
)

# Bytes of a keyring; that of Debian has 0.1 MB.
_FILE_MAX = 16 << 20


class Keyring(msgspec.Struct, frozen=True):
    """OpenPGP certificates, read from one file."""

    path: Path
    certificates: tuple[pysequoia.Cert, ...]
    # Fingerprints, in lower case, of the keys that are neither expired nor revoked.
    signing: frozenset[str]

    @property
    def words(self) -> str:
        """What is known of it."""
        return f"{len(self.certificates)} certificates"

    def content(self, signed: bytes, name: str) -> bytes:
        """Return the signed text of a clear-signed file; name is for messages.

        One good signature suffices: Debian signs with the keys of several releases, and an older keyring
        lacks the newer ones. A bad signature by a known key is an error all the same: the file was changed.
        Keys that have expired or were revoked count as unknown. BadSignature when the text is not to be used.
        """
        issuers: list[str] = []

        def certificates(wanted: list[object]) -> list[pysequoia.Cert]:
            issuers.extend(str(issuer).lower() for issuer in wanted)
            return list(self.certificates)

        # Imported here and below: most runs verify nothing that was not verified before.
        import pysequoia

        try:
            result = pysequoia.verify(signed, certificates)
        # pysequoia raises RuntimeError and ValueError, with a backtrace after the first line.
        except Exception as error:
            reason = one_line(error)[:200].rstrip(".")
            raise BadSignature(
                f"{name} is not signed by a key in {self.path} ({reason}); "
                "the file was changed on the way, or the keyring is older than the archive"
            ) from None
        if result.bytes is None or not result.valid_sigs:
            raise BadSignature(f"{name} has no signature by a key in {self.path}")
        good = {sig.signing_key.lower() for sig in result.valid_sigs}
        for issuer in issuers:
            # An issuer is a fingerprint, or its last 16 digits in old signatures.
            is_known = any(key.endswith(issuer) for key in self.signing)
            if is_known and not any(key.endswith(issuer) for key in good):
                raise BadSignature(f"{name}: the signature by {issuer}, a key in {self.path}, is bad")
        return bytes(result.bytes)


AnyKeyring = Keyring | SqvKeyring


def load(
    settings: Settings, installed: tuple[Path, ...] = INSTALLED_KEYRINGS, library: str = "pysequoia"
) -> AnyKeyring:
    """Return the keyring of the settings, or the first of the installed ones; for sqv where the library is missing.

    ImageError, with the package to install, when there is none, or when the file cannot be used; UsageError when it is
    the one of the settings.
    """
    path = settings.keyring
    unusable = ImageError if path is None else UsageError
    if path is None:
        path = next((p for p in installed if p.exists()), None)
    if path is None:
        raise ImageError(
            "no keyring to check Debian's signatures with: install the package debian-archive-keyring (on Fedora: "
            "debian-keyring), or start the run with --install-deps, or give one with --keyring or SYSEVENT_KEYRING"
        )
    if find_spec(library) is None:
        try:
            read_file(path, _FILE_MAX)
        except OSError as error:
            raise unusable(f"cannot read the keyring {path}: {error.strerror}") from None
        return SqvKeyring(path)
    import pysequoia

    now = datetime.now(UTC)
    try:
        certificates = tuple(pysequoia.Cert.split_bytes(read_file(path, _FILE_MAX)))
        signing = frozenset(key for certificate in certificates for key in _signing_keys(certificate, now))
    except OSError as error:
        raise unusable(f"cannot read the keyring {path}: {error.strerror}") from None
    # RuntimeError and ValueError, as above.
    except Exception as error:
        raise unusable(f"{path} is not a keyring of OpenPGP certificates: {one_line(error)[:200]}") from None
    if not certificates:
        raise unusable(f"the keyring {path} is empty")
    return Keyring(path, certificates, signing)


def _signing_keys(certificate: pysequoia.Cert, now: datetime) -> list[str]:
    """Return the fingerprints of the keys of a certificate that are neither expired nor revoked.

    pysequoia gives this for the primary key only; for subkeys it is read from their binding signatures
    (RFC 9580, 5.2.1.8 and 5.2.3.13).
    """
    from pysequoia import packet

    if certificate.is_revoked or (certificate.expiration is not None and certificate.expiration <= now):
        return []
    keys = [certificate.fingerprint.lower()]
    subkey: packet.Packet | None = None
    newest: packet.Packet | None = None
    revoked = False

    def finish_subkey() -> None:
        if subkey is None or newest is None or revoked or subkey.fingerprint is None:
            return
        validity = newest.key_validity_period
        if validity is None or subkey.key_created is None or subkey.key_created + validity > now:
            keys.append(subkey.fingerprint.lower())

    for item in packet.PacketPile.from_bytes(bytes(certificate)):
        if item.tag == packet.Tag.PublicSubkey:
            finish_subkey()
            subkey, newest, revoked = item, None, False
        elif item.tag == packet.Tag.Signature and subkey is not None:
            if item.signature_type == packet.SignatureType.SubkeyRevocation:
                revoked = True
            elif item.signature_type == packet.SignatureType.SubkeyBinding and _later(item, newest):
                newest = item
    finish_subkey()
    return keys


def _later(signature: packet.Packet, than: packet.Packet | None) -> bool:
    if than is None or than.signature_created is None:
        return True
    return signature.signature_created is not None and signature.signature_created > than.signature_created
