"""What a click costs, by `click_measured.py` beside this file.

A script's own folder comes first where Python looks for imports, and there this file would stand in for the library
`click` that uvicorn needs. So the folder is taken off the path before anything else is imported.
"""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    sys.path[:] = [each for each in sys.path if Path(each or ".").resolve() != HERE]
    sys.path.insert(0, str(HERE.parent))
    runpy.run_path(str(HERE / "click_measured.py"), run_name="__main__")
