"""What Langfuse's own clients send: items that begin, change and end an observation, joined into one event."""
