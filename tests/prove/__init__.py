"""The search for a schedule that breaks a promise: every cut, every bad answer, and their combinations by chance."""
