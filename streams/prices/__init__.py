"""What a model costs: the public price table, a tenant's own prices, and how a price is found."""
