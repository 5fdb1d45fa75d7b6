"""From what is known to what people are told. Who may hear of what is decided in `alerts/`; here the store is asked."""
