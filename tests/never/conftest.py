from tests.story.conftest import receiver, service

__all__ = ["receiver", "service"]
