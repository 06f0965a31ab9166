"""Between a request and its answer: the token, the gate, and what Scrapy sees of both."""
