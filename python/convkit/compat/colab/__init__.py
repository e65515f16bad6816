"""`google.colab`, where a notebook of Colab's runs on another machine: nothing of it does anything.

What its notebooks do first is to mount a drive or to take files; here both are folders of the
machine, read by the paths that the notebook says.
"""

from __future__ import annotations

from . import auth, drive, files, output, patches, userdata

__all__ = ["auth", "drive", "files", "output", "patches", "userdata"]
