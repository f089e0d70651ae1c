"""The pages: static ES modules without a build step, and the router that serves them."""
