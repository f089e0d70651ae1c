"""What the image is built of: ``python -m tests.deploy.context FOLDER`` copies what ``.dockerignore`` lets through."""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def allowed() -> list[str]:
    """Names that ``.dockerignore`` lets into the context; it refuses everything else."""
    return [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]


def main(folder: Path) -> None:
    """Copy them to a new folder."""
    for name in allowed():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy(ROOT / name, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
