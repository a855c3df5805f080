"""OpenPGP certificates that may sign Debian's release files, and what counts as signed by them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sysevent.errors import BadSignature, ImageError
from sysevent.settings import Settings

if TYPE_CHECKING:
    import pysequoia
    from pysequoia import packet

# Where Debian's package debian-archive-keyring puts them: .pgp since trixie, .gpg before (now a link).
MACHINE_KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
)


class Keyring(msgspec.Struct, frozen=True):
    """Certificates, and the fingerprints of those of their keys that can sign today."""

    path: Path
    certificates: tuple[pysequoia.Cert, ...]
    signing: frozenset[str]

    def content(self, signed: bytes, name: str) -> bytes:
        """What was signed in a clear-signed file; BadSignature (naming name) when nothing is to be believed.

        One good signature suffices: Debian signs with the keys of several releases, and an older keyring
        lacks the newer ones. A signature by a key that we know and that does not hold is a refusal all the
        same: somebody changed the file. Keys that have expired or were revoked count as unknown.
        """
        issuers: list[str] = []

        def certificates(wanted: list[object]) -> list[pysequoia.Cert]:
            issuers.extend(str(issuer).lower() for issuer in wanted)
            return list(self.certificates)

        import pysequoia  # here, as below: most runs verify nothing that they have not verified before

        try:
            result = pysequoia.verify(signed, certificates)
        except Exception as error:  # pysequoia raises RuntimeError and ValueError, with a backtrace below
            reason = str(error).split("\n", 1)[0].rstrip(".") or type(error).__name__
            raise BadSignature(
                f"{name} is not signed by a key in {self.path} ({reason}); "
                "it was changed on the way, or the keyring is older than the archive"
            ) from None
        if result.bytes is None or not result.valid_sigs:
            raise BadSignature(f"{name} carries no signature by a key in {self.path}")
        good = {sig.signing_key.lower() for sig in result.valid_sigs}
        for issuer in issuers:
            # An issuer is a fingerprint, or its last 16 digits in old signatures.
            if any(key.endswith(issuer) for key in self.signing) and not any(
                k.endswith(issuer) for k in good
            ):
                raise BadSignature(f"{name}: the signature by {issuer}, a key in {self.path}, does not hold")
        return bytes(result.bytes)


def load(settings: Settings, machine: tuple[Path, ...] = MACHINE_KEYRINGS) -> Keyring:
    """The keyring of the settings, or the machine's; ImageError says how to get one."""
    path = settings.keyring
    if path is None:
        path = next((p for p in machine if p.exists()), None)
    if path is None:
        raise ImageError(
            "no keyring to check Debian's signatures with: install the package debian-archive-keyring "
            "(apt install debian-archive-keyring), or give one with --keyring or SYSEVENT_KEYRING"
        )
    import pysequoia

    try:
        certificates = tuple(pysequoia.Cert.split_bytes(path.read_bytes()))
    except OSError as error:
        raise ImageError(f"cannot read the keyring {path}: {error.strerror}") from None
    except Exception as error:  # as above
        reason = str(error).split("\n", 1)[0]
        raise ImageError(f"{path} is not a keyring of OpenPGP certificates: {reason}") from None
    if not certificates:
        raise ImageError(f"the keyring {path} is empty")
    now = datetime.now(UTC)
    return Keyring(path, certificates, frozenset(k for c in certificates for k in _signing_keys(c, now)))


def _signing_keys(certificate: pysequoia.Cert, now: datetime) -> list[str]:
    """Fingerprints of the keys of a certificate that are neither expired nor revoked.

    pysequoia tells this of the primary key only; for subkeys it is read from their binding signatures
    (RFC 9580, 5.2.1.8 and 5.2.3.13).
    """
    from pysequoia import packet

    if certificate.is_revoked or (certificate.expiration is not None and certificate.expiration <= now):
        return []
    keys = [certificate.fingerprint.lower()]
    subkey: packet.Packet | None = None
    newest: packet.Packet | None = None
    revoked = False

    def close() -> None:
        if subkey is None or newest is None or revoked or subkey.fingerprint is None:
            return
        life = newest.key_validity_period
        if life is None or subkey.key_created is None or subkey.key_created + life > now:
            keys.append(subkey.fingerprint.lower())

    for item in packet.PacketPile.from_bytes(bytes(certificate)):
        if item.tag == packet.Tag.PublicSubkey:
            close()
            subkey, newest, revoked = item, None, False
        elif item.tag == packet.Tag.Signature and subkey is not None:
            if item.signature_type == packet.SignatureType.SubkeyRevocation:
                revoked = True
            elif item.signature_type == packet.SignatureType.SubkeyBinding and _later(item, newest):
                newest = item
    close()
    return keys


def _later(signature: packet.Packet, than: packet.Packet | None) -> bool:
    if than is None or than.signature_created is None:
        return True
    return signature.signature_created is not None and signature.signature_created > than.signature_created
