"""Who is asking: tenants, users, keys, roles, limits and the audit log."""
