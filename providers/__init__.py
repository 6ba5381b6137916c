"""Provider adapters: what rents, resumes, stops and releases machines."""
