"""An invite as a QR picture that a patient's phone can read from paper."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import segno

from protocol.errors import DaybookError, WrongCallError

KINDS = (".png", ".svg")
_MODULE_PIXELS = 8


@contextlib.contextmanager
def picture(path: Path | None) -> Iterator[Callable[[str], None]]:
    """Make sure that a picture can be written before anything else happens; then draw a link into it.

    It is written beside its place and moved there at the end, so that a failure leaves an older one whole.
    Only its owner may read it, since whoever has the link can join.
    """
    if path is None:
        yield lambda _link: None
        return
    check_kind(path)
    try:
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=path.suffix, delete=False) as file:
            draft = Path(file.name)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        yield lambda link: _draw(link, draft, path)
    finally:
        draft.unlink(missing_ok=True)


def check_kind(path: Path) -> None:
    """Refuse a name whose ending says neither PNG nor SVG."""
    if path.suffix.lower() not in KINDS:
        raise WrongCallError(f"--qr {path} must end in .png or .svg.")


def _draw(link: str, draft: Path, path: Path) -> None:
    try:
        segno.make(link, error="m", micro=False).save(
            str(draft), kind=path.suffix.lower().removeprefix("."), scale=_MODULE_PIXELS, border=4
        )
        draft.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> DaybookError:
    return DaybookError(f"The picture {path} cannot be written ({error.strerror}); choose another place with --qr.")
