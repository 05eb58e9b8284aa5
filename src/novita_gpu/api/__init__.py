"""The public HTTP API: `app.build_app` makes it of `desk.Parts`."""
