"""Everything that can go wrong, one class a cause; each message says what is wrong and what to do."""

from __future__ import annotations


class DermedgeError(Exception):
    """Base of the family; the command line turns it into one line and `exit_status`."""

    exit_status = 1


class UsageError(DermedgeError):
    """The caller asked for something that does not exist or does not fit together."""

    exit_status = 2


class ProviderError(UsageError):
    """The execution provider asked for is absent from this ONNX Runtime, or failed to start."""


class ProfileError(UsageError):
    """A calibration profile is missing, damaged, or made for another pack."""


class PhotoError(DermedgeError):
    """A photograph cannot be answered; the others of a batch still can."""

    exit_status = 3


class PhotoUnreadable(PhotoError):
    """Not a readable regular file: missing, a directory, a FIFO, no permission, gone meanwhile."""


class PhotoEmpty(PhotoError):
    """The file has no bytes."""


class PhotoFormatUnknown(PhotoError):
    """The bytes are no photograph in a format that is served."""


class PhotoDamaged(PhotoError):
    """The header is right, the picture behind it is cut off or corrupt."""


class PhotoTooLarge(PhotoError):
    """More bytes or pixels than the caps allow; refused before anything is decoded."""


class PhotoTooSmall(PhotoError):
    """Too few pixels on a side to hold a lesion."""


class BoxOutside(PhotoError):
    """A box given by hand does not lie on the photograph."""


class PackError(DermedgeError):
    """A pack cannot be trusted or used; nothing of it is opened."""

    exit_status = 4


class PackNotFound(PackError):
    """No pack of that name or at that path."""


class ManifestInvalid(PackError):
    """`pack.json` is not JSON, or a field is missing, unknown, of the wrong type or not a finite number."""


class SchemaUnknown(PackError):
    """The manifest is of a schema version that this runtime does not read."""


class PackPathUnsafe(PackError):
    """A path in the manifest or in a graph is absolute or leaves the pack's folder."""


class PackLinkFound(PackError):
    """A listed file is a link (or lies behind one)."""


class PackFileMissing(PackError):
    """A listed file is not there."""


class PackFileAltered(PackError):
    """A listed file's size or sha256 is not what the manifest says."""


class PackFileUnlisted(PackError):
    """Something refers to a file that the manifest does not list."""


class ManifestAltered(PackError):
    """The manifest's own digest does not match its content."""


class VectorsInvalid(PackError):
    """A .npy file is not of the shape, the type or the length of rows that the manifest implies."""


class GraphInvalid(PackError):
    """ONNX Runtime refuses a graph, or its inputs and outputs are not the contract's."""


class GoldenMismatch(PackError):
    """On this machine the pack does not give the answers that it was made with."""


class PackStoreError(PackError):
    """Installing, removing or rolling back a pack failed; the store is as it was before."""


class CameraError(DermedgeError):
    """There is no picture from a camera; photographs in files are not concerned."""

    exit_status = 5


class CameraAbsent(CameraError):
    """No camera is at hand."""


class CameraToolMissing(CameraError):
    """A board's camera is read by a program that is not installed."""


class CameraForbidden(CameraError):
    """The device may not be opened by this user."""


class CameraBusy(CameraError):
    """Another program has the camera."""


class CameraLost(CameraError):
    """It was unplugged, or the program that reads it ended."""


class CameraSilent(CameraError):
    """It is there and sends nothing, or nothing that is a picture."""


class CameraUnsuited(CameraError):
    """It sends pictures in no format that is served."""
