"""Where video frames come from and where they go: camera, file, test pattern; window, folder.

JPEG is made by Pillow or OpenCV, whichever is installed; without either the test pattern is PNG,
which Python can write itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from udpcore.apps._pattern import optional_module, test_pattern

PIP = 'pip install "udpcore[media]"'


def frames(source: str | None, quality: int) -> Iterator[bytes]:
    """Yield the pictures of `source`: ``"test"``, ``"camera"``, a folder, or a video file.

    None is the camera when OpenCV finds one, else the test pattern. Raises :class:`OSError` when
    the source cannot be opened, :class:`ImportError` that names the pip command.
    """
    if source == "test" or (source is None and not _camera_works()):
        return test_pattern(quality)
    if source and Path(source).is_dir():
        files = sorted(one for one in Path(source).iterdir() if one.is_file())
        return (file.read_bytes() for file in files)
    return _opencv_frames(0 if source in (None, "camera") else source, quality)


def _camera_works() -> bool:
    return bool(Path("/dev/video0").exists() and optional_module("cv2"))


def _opencv_frames(source: int | str, quality: int) -> Iterator[bytes]:
    if isinstance(source, str) and not Path(source).is_file():
        raise FileNotFoundError(f"{source!r} is no file: give test, camera, a folder or a video")
    cv2 = optional_module("cv2")
    if cv2 is None:
        raise ImportError(f"a camera or a video file needs OpenCV: {PIP}")
    capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        raise OSError(f"OpenCV cannot open {source!r}")
    try:
        while (picture := capture.read())[0]:
            options = [cv2.IMWRITE_JPEG_QUALITY, quality]
            yield bytes(cv2.imencode(".jpg", picture[1], options)[1])
    finally:
        capture.release()


def sink(output: str | Path | None) -> Callable[[int, bytes], None]:
    """What to do with a frame: write it into a folder, or nothing."""
    if output is None:
        return lambda number, picture: None
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)

    def write(number: int, picture: bytes) -> None:
        ending = "png" if picture.startswith(b"\x89PNG") else "jpg"
        (folder / f"{number:08d}.{ending}").write_bytes(picture)

    return write


def window() -> Callable[[int, bytes], None]:
    """Open a window and return what shows a frame in it; needs OpenCV and a screen."""
    cv2, numpy = optional_module("cv2"), optional_module("numpy")
    if cv2 is None or numpy is None:
        raise ImportError(f"a window needs OpenCV: {PIP}")
    try:
        cv2.namedWindow("udpcore")
    except cv2.error as error:
        raise OSError("no window can be opened here: give --output FOLDER instead") from error

    def show(number: int, picture: bytes) -> None:
        cv2.imshow(
            "udpcore", cv2.imdecode(numpy.frombuffer(picture, numpy.uint8), cv2.IMREAD_COLOR)
        )
        cv2.waitKey(1)

    return show
