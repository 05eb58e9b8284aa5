"""The public API over real HTTP: uvicorn on loopback, the real store, and the simulated cloud behind real commands."""
