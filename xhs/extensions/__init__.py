"""What a crawl has besides its flow: what its parts share, and how it reports."""
