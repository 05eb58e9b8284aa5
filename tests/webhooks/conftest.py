from tests.valkey import prefix, store, valkey_url

__all__ = ["prefix", "store", "valkey_url"]
