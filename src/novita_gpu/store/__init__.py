"""The one store. It speaks Redis: a private Valkey that we start, or a shared server."""

from novita_gpu.store.open import Store, open_store

__all__ = ["Store", "open_store"]
