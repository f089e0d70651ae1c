"""What is below deploy/, read the way its tools read it."""
