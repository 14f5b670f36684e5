"""Features of a benchmark kept on disk, so that a resumed run encodes nothing twice."""

from pathlib import Path

from coop_demo.backbones.disk_cache import DiskCache
from coop_demo.backbones.features import FeatureCache


class StoredFeatures(FeatureCache):
    """A feature cache that also lies in a folder of its own, whatever the user's cache is.

    Without a bound: the benchmark knows what it needs. A kill loses what the last batches gave;
    a file that is damaged or cannot be written is passed over.
    """

    def __init__(self, folder: str | Path, max_bytes: int = 256 * 2**20) -> None:
        super().__init__(max_bytes, DiskCache(folder, max_bytes=None))

    def close(self) -> None:
        """Write what is pending; the cache goes on in memory."""
        disk, self.disk = self.disk, None
        if disk is not None:
            disk.close()
