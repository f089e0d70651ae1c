"""The hub put together: settings, composition root, web application and command line."""
