"""What a person types: `novita-gpu`."""


def main() -> None:
    """The process ends with the exit code that `novita-gpu --help` explains."""
    import sys

    from novita_gpu.cli.app import run

    sys.exit(run(sys.argv[1:]))
