"""What an event is: the envelope, one file an event type, and everything that is derived from them."""
