"""Scale-out: the rows of a turn on many machines, with one cache and one purse.

``open_site`` connects to a Ray cluster (or starts one here) and opens the desk, an actor beside
this process that keeps every answer on this machine's disk and counts every cent. ``RayRunner``
runs candidates there. Ray is imported when a site is opened, and nowhere outside this package.
"""

from __future__ import annotations

from upturn.scaleout.job import Job
from upturn.scaleout.options import RayOptions
from upturn.scaleout.runner import RayRunner
from upturn.scaleout.site import Site, open_site

__all__ = ["Job", "RayOptions", "RayRunner", "Site", "open_site"]
