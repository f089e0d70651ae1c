"""Events that modules write to topics of their own."""
