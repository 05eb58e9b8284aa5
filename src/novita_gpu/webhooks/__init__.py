"""Outbox to receiver: each due delivery is signed, sent, and tried again by the schedule of Standard Webhooks.

The store holds all that is known of a delivery, so it outlives restarts. A crash between the send and its save
means that it is sent again, with the same `webhook-id`: receivers see it at least once and can tell.
Retries of webhooks are here and nowhere else.
"""

from novita_gpu.webhooks.fan import Fan
from novita_gpu.webhooks.outbox import Outbox
from novita_gpu.webhooks.receivers import Receivers
from novita_gpu.webhooks.registry import Registry
from novita_gpu.webhooks.sender import Sender

__all__ = ["Fan", "Outbox", "Receivers", "Registry", "Sender"]
