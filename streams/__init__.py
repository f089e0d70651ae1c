"""From the log to the warehouse: decode, dedupe, price, derive, store, aggregate."""
