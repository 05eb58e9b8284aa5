"""How many files a process may have open."""

import resource

# For a thousand streams, the work engine's pool and receivers. Many systems begin with 1,024, or 256.
ENOUGH_FILES = 4_096


def allow_files() -> int:
    """As many open files as this process may have; how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH_FILES if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
